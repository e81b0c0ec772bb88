"""Runs that are stopped, killed or corrupt, and go on from what was saved."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_jobs import ROOT, SOON, Ended, run, running
from recorded import assert_same, recorded
from small_runs import (
    committed_pid,
    one_message,
    recorded_run,
    wait_for_building,
    wait_for_checkpoint,
    wait_for_line,
    wait_for_spikes,
    wait_until,
)

from distsnn.comm import EXIT_RESUMABLE
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info

NUMBERS = [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT]
TIME = "6000"  # ms: about a second, in which several checkpoints are written
words = recorded_run("--time", TIME, "--set", "state=true")


def resumed(out: Path, uninterrupted: Path, *options: str, ranks: int | None = None) -> Ended:
    """Resume a run to its end and compare it with the undisturbed one."""
    ended = run("run", "--resume", out, *options, ranks=ranks)
    assert ended.code == 0, ended.err
    assert StoreReader(out).complete
    assert_same(recorded(uninterrupted), recorded(out))
    return ended


# mpiexec itself decides what becomes of signals other than Ctrl-C
@pytest.mark.parametrize(
    ("how", "number"),
    [
        *(("one process", number) for number in NUMBERS),
        *(("ranks of the command", number) for number in NUMBERS),
        ("mpiexec", signal.SIGINT),
    ],
)
def test_signalled_run_is_saved_and_resumes_elsewhere(
    small: Path, uninterrupted: Path, tmp_path: Path, how: str, number: signal.Signals
) -> None:
    out = tmp_path / "run.zarr"
    options = ("--ranks", "2") if how == "ranks of the command" else ()
    ranks = 2 if how == "mpiexec" else None
    with running(
        *words(small, out, *options, "--checkpoint-wall-time", "0.2s"), ranks=ranks
    ) as job:
        wait_for_checkpoint(job, out)
        sent = job.interrupt(number)
        ended = job.end()
    assert ended.at - sent < SOON
    if number == signal.SIGINT:
        one_message(ended, r"^distsnn: interrupted at [\d.]+ ms; saved, continue with: distsnn run")
        assert ended.code == 130
        status = "stopped: interrupted"
    else:
        one_message(
            ended, rf"stopped by {number.name} at [\d.]+ ms; saved, continue with: distsnn run"
        )
        assert ended.code == EXIT_RESUMABLE
        status = f"stopped: {number.name}"
    assert set(read_run_info(out).status) == {status}
    reader = StoreReader(out)
    assert not reader.complete
    assert {rank.committed_step for rank in reader.attempts[0].ranks} == {reader.complete_step}
    resumed(out, uninterrupted, "--ranks", "3")
    # nothing was recorded twice: the second attempt began where the first one stopped
    assert StoreReader(out).n_committed == StoreReader(out).n_spikes


def test_wall_limit_stops_in_time(small: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    begin = time.monotonic()
    ended = run(*words(small, out, "--wall-limit", "15s", "--time", "1000000"))
    assert time.monotonic() - begin < 15.0
    one_message(ended, "stopped by the wall limit at")
    assert ended.code == EXIT_RESUMABLE
    assert read_run_info(out).status == ["stopped: the wall limit"]
    assert run("run", "--resume", out, "--wall-limit", "4s", "--ranks", "2").code == EXIT_RESUMABLE
    reader = StoreReader(out)
    assert len(reader.attempts) == 2
    assert reader.attempts[1].start_step > 0


def test_killed_run_resumes_from_its_last_checkpoint(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, "--ranks", "2", "--checkpoint-every", "100ms")) as job:
        wait_for_checkpoint(job, out)
        os.kill(committed_pid(out), signal.SIGKILL)
        assert job.end().code == 1
    ended = resumed(out, uninterrupted, ranks=3)
    assert re.search(r"going on at \d+ ms, saved by 2 ranks", ended.err)


def test_auto_starts_resumes_or_does_nothing(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    auto = words(small, out, "--resume", "auto", "--checkpoint-wall-time", "0.2s")
    with running(*auto) as job:
        wait_for_checkpoint(job, out)
        job.interrupt(signal.SIGUSR1)
        assert job.end().code == EXIT_RESUMABLE
    ended = run(*auto, "--ranks", "2")
    assert ended.code == 0, ended.err
    assert len(StoreReader(out).attempts) == 2
    assert_same(recorded(uninterrupted), recorded(out))
    before = (out / "zarr.json").stat().st_mtime_ns
    ended = run(*auto)
    assert (ended.code, ended.out) == (0, f"{out} is complete: {TIME} ms\n")
    assert (out / "zarr.json").stat().st_mtime_ns == before


def test_auto_restarts_a_run_without_checkpoint(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, "--resume", "auto", "--time", "1000000")) as job:
        wait_for_spikes(job, out)
        job.kill()
    ended = run(*words(small, out, "--resume", "auto"))
    assert ended.code == 0, ended.err
    assert len(StoreReader(out).attempts) == 1
    assert_same(recorded(uninterrupted), recorded(out))


def test_signal_while_the_network_is_built_loses_nothing(tmp_path: Path) -> None:
    big = ("run", "microcircuit", "--set", "scale=1", "--time", "1000", "--ranks", "2")
    with running(*big, "--out", tmp_path / "run.zarr") as job:
        wait_for_building(job)
        job.interrupt(signal.SIGUSR1)
        ended = job.end()
    one_message(ended, "stopped by SIGUSR1 at 0 ms")
    assert ended.code == EXIT_RESUMABLE
    assert list(tmp_path.iterdir()) == []


def test_damaged_checkpoint_is_reported_and_the_previous_one_used(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    ended = run(*words(small, out, "--time", "300", "--checkpoint-every", "100ms"))
    assert ended.code == 0
    newest = generations(out)[0]
    chunk = next((out / CHECKPOINT / generation_name(newest)).rglob("state/float32/c/0"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    ended = run("run", "--resume", out, "--time", TIME, "--ranks", "2")
    assert ended.code == 0
    assert re.search(rf"checkpoint {newest} is not used: .*float32/c/0: corrupt", ended.err)
    assert "going on at 200 ms" in ended.err
    assert_same(recorded(uninterrupted), recorded(out))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seed", "9"), "--seed: a resumed run keeps its seed"),
        (("--out", "other.zarr"), "--out: a resumed run is recorded where it was"),
        (("--overwrite",), "--resume: resume and overwrite exclude each other"),
        (("--checkpoint-every", "0.05ms"), "--checkpoint-every: time is not on the grid"),
        (("--checkpoint-every", "5 parsecs"), "'5 parsecs' is not a time"),
        (("--wall-limit", "-1h"), "wall-limit"),
        (("--max-rate", "0"), "must be positive"),
    ],
)
def test_bad_requests_are_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    out = tmp_path / "run.zarr"
    model = ("brunel", "--set", "order=10")
    assert run("run", *model, "--time", "20", "--out", out, "--checkpoint-every", "10ms").code == 0
    ended = run("run", "--resume", out, "--time", "40", *options)
    one_message(ended, re.escape(message))
    assert ended.code == 2


def test_model_that_is_not_the_runs_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    model = ("brunel", "--set", "order=10")
    assert run("run", *model, "--time", "20", "--out", out, "--checkpoint-every", "10ms").code == 0
    ended = run("run", "brunel", "--set", "order=11", "--resume", out, "--time", "40", ranks=2)
    one_message(ended, "the checkpoint is of another network: .*size is 40 there, 44 here")
    assert ended.code == 2


def test_nothing_to_resume(tmp_path: Path) -> None:
    ended = run("run", "--resume", tmp_path / "none.zarr")
    one_message(ended, "none.zarr: the path does not exist")
    assert ended.code == 2
    out = tmp_path / "run.zarr"
    assert run("run", "brunel", "--set", "order=10", "--time", "20", "--out", out).code == 0
    ended = run("run", "--resume", out, "--time", "40", ranks=2)
    one_message(ended, "the run is complete at 20 ms and has no checkpoint: it cannot be extended")
    assert ended.code == 2


def test_runaway_network_is_stopped(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    ended = run(*words(small, out, "--max-rate", "1", "--ranks", "2"))
    one_message(ended, "population 'E': .* spikes/s at 100 ms, above the limit of 1 spikes/s")
    assert ended.code == 1
    assert StoreReader(out).complete_step == 1000


@pytest.mark.parametrize("options", [(), ("--ranks", "2")])
def test_signal_to_a_run_that_is_not_recorded(small: Path, options: tuple[str, ...]) -> None:
    with running("run", small, "--time", "1000000", *options) as job:
        wait_for_line(job, "of 1000000 ms")  # it runs: the log's first look at it
        job.interrupt(signal.SIGUSR1)
        ended = job.end()
    one_message(ended, r"stopped by SIGUSR1 at [\d.]+ ms$")
    assert ended.code == 1


@pytest.mark.parametrize("options", [(), ("--ranks", "2")])
def test_signals_may_come_again_and_again(
    small: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, *options, "--time", "1000000")) as job:
        wait_for_spikes(job, out)
        for _ in range(2):
            job.interrupt(signal.SIGTERM)
            time.sleep(0.1)
        ended = job.end()
    one_message(ended, "stopped by SIGTERM")
    assert ended.code == EXIT_RESUMABLE


@pytest.mark.parametrize("how", ["one process", "ranks of the command", "mpiexec"])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_signals_may_come_until_the_end(
    small: Path, tmp_path: Path, how: str, number: signal.Signals
) -> None:
    out = tmp_path / "run.zarr"
    options = ("--ranks", "2") if how == "ranks of the command" else ()
    ranks = 2 if how == "mpiexec" else None
    with running(*words(small, out, *options, "--time", "1000000"), ranks=ranks) as job:
        wait_for_spikes(job, out)
        own = pids_of_ranks(out)
        # the command gets them too; mpiexec passes its own on to the ranks
        targets = own if how == "mpiexec" else {job.process.pid, *own}
        while job.process.poll() is None:
            for pid in targets:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.002)
        ended = job.end()
    one_message(ended, rf"stopped by {number.name} at [\d.]+ ms; saved, continue with: distsnn run")
    assert ended.code == EXIT_RESUMABLE
    assert read_run_info(out).status == [f"stopped: {number.name}"] * len(own)
    assert generations(out)


def test_command_that_a_stopped_run_prints_continues_it(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a run.zarr"
    options = ("--overwrite", "--ranks", "2", "--checkpoint-wall-time", "0.2s")
    with running(*words(small, out, *options)) as job:
        wait_for_checkpoint(job, out)
        job.interrupt(signal.SIGINT)
        ended = job.end()
    assert ended.code == 130
    program, *printed = shlex.split(ended.messages[0].partition("continue with: ")[2])
    assert program == "distsnn"
    ended = run(*printed)
    assert ended.code == 0, ended.err
    assert len(StoreReader(out).attempts) == 2
    assert_same(recorded(uninterrupted), recorded(out))


def test_run_is_complete_though_its_launcher_was_killed(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, "--time", "2000", "--ranks", "2")) as job:
        wait_until(job, lambda: len(pids_of_ranks(out)) == 2, "ranks record")
        proxy = parent_of(next(iter(pids_of_ranks(out))))
        os.kill(proxy, signal.SIGKILL)
        ended = job.end()
    one_message(ended, r"after all ranks had finished with 0; .*run.zarr is complete: 2000 ms$")
    assert ended.code == 0
    assert StoreReader(out).complete


def test_lost_run_says_how_far_it_was_saved(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    long = ("--time", "1000000", "--ranks", "2", "--checkpoint-wall-time", "0.2s")
    with running(*words(small, out, *long)) as job:
        wait_for_checkpoint(job, out)
        os.kill(committed_pid(out), signal.SIGKILL)
        ended = job.end()
    one_message(
        ended, r"was ended by signal 9 .*; .*run.zarr is not complete; saved, continue with:"
    )
    assert ended.code == 1


def pids_of_ranks(out: Path) -> set[int]:
    """Return the processes that record in a run's first attempt."""
    found = set()
    for file in (out / "attempt000").glob("rank*/zarr.json"):
        pid = re.search(r'"pid": (\d+)', file.read_text())
        found |= {int(pid[1])} if pid else set()
    return found


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_auto_leaves_the_run_of_another_network_alone(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    assert run("run", small, "--time", "10", "--out", out).code == 0
    attributes = json.loads((out / "zarr.json").read_text())
    attributes["attributes"]["complete"] = False
    (out / "zarr.json").write_text(json.dumps(attributes))
    before = StoreReader(out).spike_hash()
    ended = run("run", small, "--time", "10", "--out", out, "--resume", "auto", "--seed", "9")
    one_message(ended, "is a run of another network or seed")
    assert ended.code == 2
    assert StoreReader(out).spike_hash() == before


def test_auto_does_not_take_the_complete_run_of_another_network_for_done(
    small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    assert run("run", small, "--time", "10", "--out", out).code == 0
    before = StoreReader(out).spike_hash()
    for options in (("--out", out, "--resume", "auto"), ("--resume", out)):
        assert run("run", small, "--time", "10", *options).code == 0
        ended = run("run", "tutorial", "--time", "10", *options)
        one_message(ended, "is complete, and of another network")
        assert ended.code == 2
    assert StoreReader(out).spike_hash() == before


def test_run_that_is_going_on_is_left_alone(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    auto = words(
        small, out, "--time", "1000000", "--resume", "auto", "--checkpoint-wall-time", "1s"
    )
    with running(*auto) as job:
        wait_for_checkpoint(job, out)
        ended = run(*auto)
        one_message(ended, r"run.zarr: is being written by process \d+ on")
        assert ended.code == 2
        job.interrupt(signal.SIGTERM)
        assert job.end().code == EXIT_RESUMABLE


def test_ranks_end_when_the_command_that_started_them_is_killed(
    small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, "--time", "1000000", "--ranks", "2")) as job:
        wait_for_spikes(job, out)
        victim = committed_pid(out)
        os.kill(job.process.pid, signal.SIGKILL)
        limit = time.monotonic() + SOON
        while Path(f"/proc/{victim}/cmdline").exists() and time.monotonic() < limit:
            time.sleep(0.1)
        assert not Path(f"/proc/{victim}/cmdline").exists()
        job.process.communicate()


@pytest.mark.parametrize("driver", [(), ("--scripted",)], ids=["command", "script"])
def test_random_kills_lose_nothing(driver: tuple[str, ...]) -> None:
    """The short form of a campaign; the long one is `benchmarks/kills.py` itself."""
    script = ROOT / "benchmarks" / "kills.py"
    short = ("--kills", "6", "--time", "1000", "--seed", "2", "--hung-after", "60", *driver)
    done = subprocess.run(
        [sys.executable, script, *short], capture_output=True, text=True, timeout=800, check=False
    )
    found = json.loads(done.stdout)
    assert found["kills"] + found["terminations"] >= 6
    faults = ("lost", "duplicated", "different", "hung")
    assert {name: found[name] for name in faults} == dict.fromkeys(faults, 0)
    assert done.returncode == 0


def test_resumed_run_reads_as_one_while_running(
    small: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    with running(*words(small, out, "--checkpoint-wall-time", "0.2s", "--time", "1000000")) as job:
        wait_for_checkpoint(job, out)
        job.kill()
    first = StoreReader(out).complete_step
    with running("run", "--resume", out, "--ranks", "2") as job:
        wait_until(job, lambda: StoreReader(out).complete_step > first, "more is recorded")
        reader = StoreReader(out)
        last = min(reader.complete_step, StoreReader(uninterrupted).complete_step)
        found = reader.spikes(0, last)
        job.interrupt(signal.SIGTERM)
        assert job.end().code == EXIT_RESUMABLE
    assert len(reader.attempts) == 2
    for mine, expected in zip(found, StoreReader(uninterrupted).spikes(0, last), strict=True):
        np.testing.assert_array_equal(mine, expected)
