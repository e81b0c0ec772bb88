"""Runs of the small model: how they are asked for, what is waited for, what they say."""

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from command_jobs import Ended, Job

from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import generations
from distsnn.io.reader import StoreReader

# s, until something that is waited for must have come about
PATIENCE = 240.0

Words = Callable[..., tuple[str, ...]]


def recorded_run(*options: str) -> Words:
    """Return what makes the command line of such a run, of a model, a store and more options."""
    return lambda model, out, *extra: ("run", str(model), "--out", str(out), *options, *extra)


def one_message(ended: Ended, pattern: str) -> None:
    """Assert that one message was all that was said."""
    assert len(ended.messages) == 1, ended.err
    assert re.search(pattern, ended.messages[0])
    assert "Traceback" not in ended.err


def wait_until(job: Job, condition: Callable[[], bool], event: str) -> None:
    """Wait until a condition holds while a job runs."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert job.process.poll() is None, job.end().err
        assert time.monotonic() < limit, f"not within {PATIENCE:g} s: {event}"
        time.sleep(0.02)


def wait_for_checkpoint(job: Job, out: Path) -> None:
    """Wait until the run was saved: only then can it go on after it was killed."""
    wait_until(job, lambda: bool(generations(out)), "a whole checkpoint")


def wait_for_spikes(job: Job, out: Path) -> None:
    """Wait until every rank has committed spikes."""

    def has_spikes() -> bool:
        with contextlib.suppress(StoreError):
            reader = StoreReader(out)
            return reader.complete_step > 0 and reader.n_committed > 0
        return False

    wait_until(job, has_spikes, "spikes")


def wait_for_line(job: Job, pattern: str) -> None:
    """Wait until the job has said a line."""
    assert job.process.stderr is not None
    line = ""
    while not re.search(pattern, line):
        line = job.process.stderr.readline()
        assert line, f"it ended for an unknown reason of {pattern!r}"


def wait_for_building(job: Job) -> None:
    """Wait until rank 0 has said that the network is being built."""
    wait_for_line(job, "building")
    time.sleep(0.5)


def committed_pid(path: Path) -> int:
    """Return the process of the store's second rank."""
    text = (path / "attempt000" / "rank0001" / "zarr.json").read_text()
    match = re.search(r'"pid": (\d+)', text)
    assert match
    return int(match[1])
