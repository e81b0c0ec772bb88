"""Checkpoints that cannot be written, are interrupted half-way, or are resumed by two at once."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_jobs import Job, run, running
from recorded import assert_same, recorded
from small_disks import mounted, read_only
from small_runs import PATIENCE, one_message, recorded_run, wait_for_checkpoint, wait_for_line

from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.io.reader import StoreReader

TIME = "1500"  # ms
words = recorded_run("--time", TIME)


@pytest.fixture
def saved(small: Path, tmp_path: Path) -> Path:
    """Return a run of 100 ms, saved at its end and meant to go on."""
    out = tmp_path / "run.zarr"
    ended = run(*words(small, out, "--time", "100", "--checkpoint-every", "50ms", "--quiet"))
    assert ended.code == 0, ended.err
    return out


def goes_on(out: Path, uninterrupted: Path, *options: str) -> str:
    """Resume to the end and compare; return what was said."""
    ended = run("run", "--resume", out, "--time", TIME, *options)
    assert ended.code == 0, ended.err
    assert_same(recorded(uninterrupted), recorded(out))
    return ended.err


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MiB."""
    with mounted(tmp_path / "disk", "2m") as place:
        yield place


def fill(place: Path, leave: int) -> Path:
    """Fill a disk but for some bytes."""
    path = place / "filling"
    room = os.statvfs(place)
    path.write_bytes(bytes(room.f_bavail * room.f_frsize - leave))
    return path


def test_disk_that_fills_while_saving_leaves_the_generation_before(
    small: Path, uninterrupted: Path, disk: Path
) -> None:
    out = disk / "run.zarr"
    assert run(*words(small, out, "--time", "100", "--checkpoint-every", "100ms")).code == 0
    before = generations(out)
    filling = fill(disk, 40 * 2**10)  # room for the attempt, not for another generation
    ended = run("run", "--resume", out, "--time", TIME, "--checkpoint-every", "0.1ms")
    one_message(ended, "run.zarr.*: (checkpoint: )?cannot be .*: No space left on device")
    assert ended.code == 1
    assert before[0] in generations(out)
    filling.unlink()
    assert "going on at 100 ms" in goes_on(out, uninterrupted, "--ranks", "2")


def test_unwritable_folder_is_reported_on_resuming(saved: Path, uninterrupted: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in saved.rglob("*")}
    with read_only(saved):
        ended = run("run", "--resume", saved, "--time", TIME, "--ranks", "2")
    one_message(ended, r"run\.zarr: is not writable$")
    assert "building" not in ended.err
    assert ended.code == 2
    assert {path: path.stat().st_mtime_ns for path in saved.rglob("*")} == before
    goes_on(saved, uninterrupted)


def kill_when(job: Job, happens: Path | str, out: Path) -> bool:
    """Kill the job as soon as there is a folder of that pattern; return whether it was."""
    limit = time.monotonic() + PATIENCE
    while job.process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError):
            if any((out / CHECKPOINT).glob(str(happens))):
                job.kill()
                return True
    return False


def test_killed_while_saving(small: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    halves = 0
    for attempt in range(4):
        with running(*words(small, out, "--resume", "auto", "--checkpoint-every", "20ms")) as job:
            # the first save of a run, later ones, of one rank's part, and of its index
            wanted = ("*.partial", "*.partial/rank0000", "*.partial/blocks", "*.partial")[attempt]
            assert kill_when(job, wanted, out)
        halves += bool(list((out / CHECKPOINT).glob("*.partial")))
        for number in generations(out):
            assert (out / CHECKPOINT / generation_name(number) / "zarr.json").is_file()
    assert halves > 0
    ended = run(*words(small, out, "--resume", "auto", "--ranks", "2"))
    assert ended.code == 0, ended.err
    assert_same(recorded(uninterrupted), recorded(out))


def test_killed_while_restoring(saved: Path, uninterrupted: Path) -> None:
    before = generations(saved)
    for wait in (0.0, 0.02, 0.1):
        with running("run", "--resume", str(saved), "--time", TIME) as job:
            # this is said once the checkpoint is verified; reading it comes next
            wait_for_line(job, "building")
            time.sleep(wait)
            job.kill()
    assert generations(saved) == before
    goes_on(saved, uninterrupted, "--ranks", "3")


def test_run_that_is_going_on_is_not_resumed_by_another(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    long = words(small, out, "--time", "1000000", "--checkpoint-wall-time", "0.1s", "--ranks", "2")
    with running(*long) as job:
        wait_for_checkpoint(job, out)
        for options in (("--ranks", "2"), ("--ranks", "1")):
            ended = run("run", "--resume", out, "--time", TIME, *options)
            one_message(ended, r"run\.zarr: is being written by process \d+ on ")
            assert ended.code == 2
        assert len(StoreReader(out).attempts) == 1
        job.interrupt(signal.SIGTERM)
        assert job.end().code == 85
    done = StoreReader(out).complete_step
    assert done > 0
    ended = run("run", "--resume", out, "--time", str(done * 0.1 + 10.0))
    assert ended.code == 0, ended.err
    assert not list(out.glob("*.lock"))
    assert re.search(r"going on at [\d.]+ ms", ended.err)
