"""A store is whole at every moment: nothing that a kill between two writes leaves looks damaged."""

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_run import write_saved_run

from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import Generation, missing_checkpoints
from distsnn.io.reader import StoreReader

# A file that is opened to be written has another name at first, and is then renamed or linked.
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"}


class Watch:
    """Copies a store before each change of it: such a copy is what a kill at this moment leaves."""

    def __init__(self) -> None:
        self._store: Path | None = None
        self._copies, self._every, self._seen = Path(), 1, 0
        self._lock = threading.RLock()
        self._copying = False
        sys.addaudithook(self._hook)  # for good: there is no way to take one away

    @contextmanager
    def copying(self, store: Path, copies: Path, every: int) -> Iterator[None]:
        """Copy the store into numbered folders, before each `every`-th change."""
        self._copies, self._every, self._seen, self._store = copies, every, 0, store
        try:
            yield
        finally:
            self._store = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._store is None or event not in _CHANGES:
            return
        if not str(arguments[0]).startswith(str(self._store)):
            return
        with self._lock:
            self._seen += not self._copying
            if not self._copying and self._seen % self._every == 0 and self._store.exists():
                self._copying = True
                place = self._copies / f"{self._seen:04d}" / "run.zarr"
                shutil.copytree(self._store, place, copy_function=_copy)
                self._copying = False


def _copy(source: str, target: str) -> None:
    # a change that was announced before may take place now
    with suppress(FileNotFoundError):
        shutil.copyfile(source, target)


WATCH = Watch()


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.faults)])
def test_no_moment_looks_damaged(tmp_path: Path, every: int) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with WATCH.copying(tmp_path / "run.zarr", copies, every):
        whole = write_saved_run(tmp_path / "run.zarr")
    moments = sorted(copies.iterdir())
    assert len(moments) * every > 200
    attempts, steps, saved = [], [], []
    for moment in moments:
        reader = StoreReader(moment / "run.zarr")
        assert missing_checkpoints(reader) == []
        for number in generations(reader.path):
            generation = Generation.open(reader.path, number)
            for rank in range(2):
                generation.verify_rank(rank)
            assert reader.reaches(generation.about["step"])
        reader.verify(reader.complete_step)
        until = reader.complete_step
        step, gid = reader.spikes(0, until)
        np.testing.assert_array_equal(step, whole.step[whole.step <= until])
        np.testing.assert_array_equal(gid, whole.gid[whole.step <= until])
        assert StoreReader(reader.path, resuming=True).damage is None
        attempts.append(len(reader.attempts))
        steps.append(until)
        saved.append(max(generations(reader.path), default=0))
    # moments of every kind were seen
    assert {1, 2} <= set(attempts)
    assert {0, 100} <= set(steps)
    assert {0, 1} <= set(saved)
