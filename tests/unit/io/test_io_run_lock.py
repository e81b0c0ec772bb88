"""The lock on a run's store."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import ROOT

from distsnn.errors import StoreError
from distsnn.io import run_lock
from distsnn.io.run_lock import RunLock


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    first = RunLock(tmp_path / "run.zarr")
    with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on"):
        RunLock(tmp_path / "run.zarr")
    first.release()
    first.release()
    assert not list(tmp_path.iterdir())
    RunLock(tmp_path / "run.zarr").release()


def test_a_lock_is_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    first = RunLock(tmp_path / "run.zarr")
    begin = time.monotonic()
    with pytest.raises(StoreError, match="is being written by process"):
        RunLock(tmp_path / "run.zarr", 0.7)
    assert 0.7 <= time.monotonic() - begin < 5.0
    timer = threading.Timer(0.3, first.release)
    timer.start()
    RunLock(tmp_path / "run.zarr", 60.0).release()
    timer.join()
    assert time.monotonic() - begin < 30.0


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    (tmp_path / ".run.zarr.lock").symlink_to(victim)
    with pytest.raises(StoreError, match=r"run.zarr: cannot be locked"):
        RunLock(tmp_path / "run.zarr")
    assert victim.read_text() == "years of work"


def test_lock_on_a_deleted_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / ".run.zarr.lock", fcntl.flock
    taken = []

    def late(descriptor: int, how: int) -> Any:
        # the owner before releases between our opening and locking the file
        if not taken:
            path.unlink()
        taken.append(descriptor)
        return flock(descriptor, how)

    monkeypatch.setattr(run_lock.fcntl, "flock", late)
    lock = RunLock(tmp_path / "run.zarr")
    assert len(taken) == 2
    assert path.read_text() == f"process {os.getpid()} on {os.uname().nodename}"
    monkeypatch.undo()
    with pytest.raises(StoreError, match="is being written"):
        RunLock(tmp_path / "run.zarr")
    lock.release()


def test_full_disk_is_reported_and_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(run_lock.os, "pwrite", full)
        with pytest.raises(StoreError, match=r"run\.zarr: cannot be locked: No space left"):
            RunLock(tmp_path / "run.zarr")
    assert not list(tmp_path.iterdir())
    RunLock(tmp_path / "run.zarr").release()


def test_child_of_a_process_that_died_does_not_hold_its_lock(tmp_path: Path) -> None:
    """As of an environment that a script runs in a process of its own."""
    script = f"""
import os, sys, time
from distsnn.io.run_lock import RunLock
lock = RunLock({str(tmp_path / "run.zarr")!r})
child = os.fork()
if child == 0:
    own = RunLock({str(tmp_path / "other.zarr")!r})
    lock.release()  # which is its parent's
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        time.sleep(0.1)
        with pytest.raises(StoreError, match=f"is being written by process {process.pid} on"):
            RunLock(tmp_path / "run.zarr")
        process.kill()
        process.wait()
        RunLock(tmp_path / "run.zarr").release()
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
        os.kill(child, signal.SIGKILL)


def test_releasing_in_a_read_only_folder_hides_no_other_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock(tmp_path / "run.zarr")

    def refuse(path: Path, **_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        lock.release()
    # the file that stays hinders no one
    RunLock(tmp_path / "run.zarr").release()
