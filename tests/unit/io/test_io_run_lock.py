"""The lock on a run's store."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

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


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    (tmp_path / ".run.zarr.lock").symlink_to(victim)
    with pytest.raises(StoreError, match=r"run.zarr: cannot be locked"):
        RunLock(tmp_path / "run.zarr")
    assert victim.read_text() == "years of work"


def test_a_lock_on_a_file_that_is_gone_is_none(
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
