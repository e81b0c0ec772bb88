"""Stores that cannot be written, and runs that end early: what was recorded stays readable."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_jobs import SOON, run, running
from small_disks import mounted
from small_runs import (
    committed_pid,
    one_message,
    wait_for_building,
    wait_for_spikes,
)

from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.kernel_cache import cache_directory


@pytest.mark.parametrize("ranks", [None, 2])
def test_path_that_exists_is_refused_and_left_alone(
    small: Path, tmp_path: Path, ranks: int | None
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for options in ((), ("--overwrite",)):
        words = ("run", small, "--time", "10", "--out", tmp_path / "notes", *options)
        ended = run(*words, ranks=ranks)
        one_message(ended, "notes: (exists already|is not a run of distsnn)")
        assert ended.code == 2
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]


def test_run_is_replaced_only_when_asked(small: Path, tmp_path: Path) -> None:
    words = ("run", small, "--time", "20", "--out", tmp_path / "run.zarr", "--quiet")
    assert run(*words).code == 0
    first = StoreReader(tmp_path / "run.zarr").spike_hash()
    ended = run(*words, "--seed", "2")
    one_message(ended, "run.zarr: exists already")
    assert ended.code == 2
    assert StoreReader(tmp_path / "run.zarr").spike_hash() == first
    assert run(*words, "--seed", "2", "--overwrite").code == 0
    assert StoreReader(tmp_path / "run.zarr").spike_hash() != first


@pytest.mark.parametrize("ranks", [None, 2])
def test_path_that_cannot_be_written_is_refused(
    small: Path, tmp_path: Path, ranks: int | None
) -> None:
    (tmp_path / "file").write_text("no folder")
    words = ("run", small, "--time", "10", "--out", tmp_path / "file" / "run.zarr")
    ended = run(*words, ranks=ranks)
    one_message(ended, "run.zarr: cannot be created")
    assert ended.code == 2


def test_folder_of_the_system_is_refused(small: Path) -> None:
    # where not even root can make a folder
    ended = run("run", small, "--time", "10", "--out", "/proc/distsnn/run.zarr")
    one_message(ended, "/proc/distsnn/run.zarr: cannot be created|/proc/distsnn: cannot be created")
    assert ended.code == 2


@pytest.mark.parametrize("full_rank", [0, 1])
def test_full_disk_ends_the_run_and_keeps_what_was_recorded(
    small: Path, tmp_path: Path, full_rank: int
) -> None:
    out = tmp_path / "run.zarr"
    # A chunk of spikes or states does not fit, the store's small files do.
    settings = ("--set", "fault=full", f"rank={full_rank}", "bytes=200000", "state=true")
    words = ("run", small, *settings, "--time", "1000000", "--out", out)
    ended = run(*words, "--ranks", "2")
    one_message(ended, f"rank {full_rank}: .*run.zarr/.*: cannot be written: File too large")
    assert ended.code == 1
    numbers = read_run_info(out)
    assert not numbers.complete
    assert numbers.status[full_rank].startswith("failed: cannot be written")
    assert numbers.status[1 - full_rank].startswith("failed: rank ")
    assert readable(out) == numbers.spikes


def test_disk_without_any_space_left(small: Path, disk: Path) -> None:
    # Not even the store's small files fit any more, such as the one with the rank's status.
    ended = run("run", small, "--time", "1000000", "--out", disk / "run.zarr", "--ranks", "2")
    one_message(ended, r"run.zarr.*: cannot be (written|extended): No space left on device")
    assert ended.code == 1
    numbers = read_run_info(disk / "run.zarr")
    assert not numbers.complete
    assert readable(disk / "run.zarr") == numbers.spikes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 256 KiB."""
    with mounted(tmp_path / "disk", "256k") as place:
        yield place


@pytest.mark.parametrize("how", ["one process", "ranks of the command", "mpiexec"])
def test_interrupted_run_stops_at_one_step_and_is_readable(
    small: Path, tmp_path: Path, how: str
) -> None:
    out = tmp_path / "run.zarr"
    words = ("run", small, "--time", "1000000", "--out", out, "--set", "state=true")
    options = ("--ranks", "2") if how == "ranks of the command" else ()
    with running(*words, *options, ranks=2 if how == "mpiexec" else None) as job:
        wait_for_spikes(job, out)
        sent = job.interrupt()
        ended = job.end()
    one_message(ended, r"^distsnn: interrupted at [\d.]+ ms; saved, continue with: distsnn run")
    assert ended.code == 130
    assert ended.at - sent < SOON
    assert re.search(r"distsnn: stopped at \d+ of 1000000 ms", ended.err)
    numbers = read_run_info(out)
    assert not numbers.complete
    assert set(numbers.status) == {"stopped: interrupted"}
    reader = StoreReader(out)
    # all ranks stopped at the same step, and committed all they had
    steps = {rank.committed_step for rank in reader.attempts[-1].ranks}
    assert steps == {reader.attempts[-1].complete_step}
    assert numbers.recorded_ms > 0.0
    assert readable(out) == numbers.spikes > 0
    again = run("run", out, "--time", numbers.recorded_ms, "--out", tmp_path / "again.zarr")
    assert again.code == 0, again.err
    assert StoreReader(tmp_path / "again.zarr").spike_hash() == reader.spike_hash()


def test_killed_rank_loses_no_committed_data(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with running("run", small, "--time", "1000000", "--out", out, "--ranks", "2") as job:
        wait_for_spikes(job, out)
        committed = StoreReader(out)
        victim = committed_pid(out)
        os.kill(victim, signal.SIGKILL)
        killed = time.time()
        ended = job.end()
    one_message(ended, r"rank 1 \(process \d+\) was ended by signal 9 \(SIGKILL\), as when memory")
    assert ended.code == 1
    assert ended.at - killed < SOON
    assert readable(out) >= committed.n_spikes > 0
    step, gid = StoreReader(out).spikes(0, committed.complete_step)
    before_step, before_gid = committed.spikes(0, committed.complete_step)
    np.testing.assert_array_equal(step, before_step)
    np.testing.assert_array_equal(gid, before_gid)


def test_interrupt_while_the_network_is_built(small: Path, tmp_path: Path) -> None:
    words = ("run", "microcircuit", "--set", "scale=1", "--time", "1000", "--ranks", "2")
    with running(*words, "--out", tmp_path / "run.zarr") as job:
        wait_for_building(job)
        sent = job.interrupt()
        ended = job.end()
    one_message(ended, "^distsnn: interrupted at 0 ms$")
    assert ended.code == 130
    assert ended.at - sent < SOON
    assert list(tmp_path.iterdir()) == []


def test_program_at_the_other_end_of_the_pipe_may_leave(small: Path, tmp_path: Path) -> None:
    # distsnn run ... 2>&1 | true
    words = [sys.executable, "-m", "distsnn", "run", small, "--time", "100"]
    words += ["--out", tmp_path / "run.zarr"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, stdout=write, stderr=write, timeout=120)
    os.close(write)
    assert done.returncode == 141
    assert read_run_info(tmp_path / "run.zarr").complete


def readable(path: Path) -> int:
    """Return how many spikes can be read, after checking that they are in order."""
    step, gid = StoreReader(path).spikes()
    assert np.all(np.diff(step.astype(np.int64) << 32 | gid) > 0)
    return len(step)


def test_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTSNN_CACHE_DIR", str(tmp_path / "file"))
    ended = run("run", "brunel", "--time", "10")
    one_message(ended, "file/.*: the cache of kernels cannot be written .*DISTSNN_CACHE_")
    assert ended.code == 2
    # what compiles nothing needs no cache
    one_message(run("info", tmp_path / "none.zarr"), "the path does not exist")


@pytest.mark.parametrize("ranks", [None, 2])
def test_cache_that_others_could_have_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int | None
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("DISTSNN_CACHE_DIR", str(tmp_path / "shared"))
    ended = run("run", "brunel", "--time", "10", ranks=ranks)
    one_message(ended, "shared: .* can be written by other users, .*mode 0777.*DISTSNN_CACHE_DIR")
    assert ended.code == 2
    assert list((tmp_path / "shared").iterdir()) == []


@pytest.mark.parametrize("ranks", [None, 2])
def test_damaged_kernels_are_named_and_compiled_again(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int | None
) -> None:
    def spikes(name: str) -> tuple[str, str]:
        out = tmp_path / name
        ended = run("run", small, "--time", "20", "--out", out, "--quiet", ranks=ranks)
        assert ended.code == 0, ended.err
        return StoreReader(out).spike_hash(), ended.err

    clean, _ = spikes("clean.zarr")
    kernels = tmp_path / "kernels" / cache_directory().name
    shutil.copytree(cache_directory(), kernels, copy_function=shutil.copyfile)
    for place in (kernels.parent, kernels, *kernels.iterdir()):
        place.chmod(0o700)
    # as after a power cut; all ranks compile these at the same time
    loops = sorted([*kernels.glob("*generated*.update-*"), *kernels.glob("loop.run-*")])
    for number, path in enumerate(loops):
        size = path.stat().st_size
        os.truncate(path, (0, 100, size // 2, size - 1)[number % 4])
    monkeypatch.setenv("DISTSNN_CACHE_DIR", str(kernels.parent))
    again, said = spikes("again.zarr")
    assert again == clean
    assert f"{kernels}/loop.run-" in said
    assert "is corrupt: its checksum does not match" in said and "compiled again" in said
    repaired, said = spikes("repaired.zarr")
    assert (repaired, "corrupt" in said) == (clean, False)
