"""A store is whole at every moment: nothing that a kill between two writes leaves looks corrupt."""

import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_run import write_saved_run

from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import CheckpointReader, missing_checkpoints
from distsnn.io.reader import StoreReader

# A file that is opened to be written has another name at first, and is then renamed or linked.
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"}
_RANDOM = re.compile(r"[0-9a-f]{32}(?=\.partial)")

# A store at some moment: its folders (None) and where the content of its files is kept.
Moment = Mapping[str, Path | None]


class Watch:
    """Records a store before each change of it: this is what a kill at this moment leaves.

    Two thirds of the changes are announced and change nothing, such as making a folder that
    exists. So a moment is recorded if the store differs from all moments before, in more than the
    random names of files that are being written.
    """

    def __init__(self) -> None:
        self._store: Path | None = None
        self._kept, self._every, self._seen = Path(), 1, 0
        self._moments: dict[frozenset[Any], Moment] = {}
        self._contents: dict[tuple[int, ...], Path] = {}
        self._lock = threading.RLock()
        self._recording = False
        sys.addaudithook(self._hook)  # for good: there is no way to take one away

    @contextmanager
    def recording(self, store: Path, kept: Path, every: int) -> Iterator[Mapping[Any, Moment]]:
        """Record moments of the store before each `every`-th change, with contents in `kept`."""
        self._moments, self._contents = {}, {}
        self._kept, self._every, self._seen, self._store = kept, every, 0, store
        try:
            yield self._moments
        finally:
            self._store = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._store is None or event not in _CHANGES:
            return
        if not str(arguments[0]).startswith(str(self._store)):
            return
        with self._lock:
            self._seen += not self._recording
            if not self._recording and self._seen % self._every == 0 and self._store.exists():
                self._recording = True
                self._record(str(self._store))
                self._recording = False

    def _record(self, store: str) -> None:
        state: set[tuple[Any, ...]] = set()
        files: dict[str, tuple[int, ...]] = {}
        moment: dict[str, Path | None] = {}
        for folder, _, names in os.walk(store):
            relative = os.path.relpath(folder, store)
            moment[relative] = None
            state.add((relative,))
            for name in names:
                # a change that was announced before may take place now
                with suppress(FileNotFoundError):
                    found = Path(folder, name).stat()
                    files[f"{relative}/{name}"] = found.st_ino, found.st_mtime_ns, found.st_size
        for name, known in files.items():
            partial = name.endswith(".partial")
            state.add((_RANDOM.sub("", name), *(known[2:] if partial else known)))
        if frozenset(state) in self._moments:
            return
        for name, known in files.items():
            with suppress(FileNotFoundError):
                moment[name] = self._content(f"{store}/{name}", known)
        self._moments[frozenset(state)] = moment

    def _content(self, path: str, known: tuple[int, ...]) -> Path:
        """Return where the content of a file is kept, which is kept once."""
        if known not in self._contents:
            kept = self._kept / str(len(self._contents))
            if path.endswith(".partial"):  # more may be written to it
                shutil.copyfile(path, kept)
            else:
                os.link(path, kept)
            self._contents[known] = kept
        return self._contents[known]


def _restore(path: Path, before: Moment, after: Moment) -> None:
    """Turn the store of one moment into that of another."""
    for name in sorted(before.keys() - after.keys(), reverse=True):
        (path / name).rmdir() if before[name] is None else (path / name).unlink()
    for name in sorted(after):
        kept = after[name]
        if name in before and before[name] == kept:
            continue
        if kept is None:
            (path / name).mkdir()
            continue
        (path / name).unlink(missing_ok=True)
        os.link(kept, path / name)


WATCH = Watch()


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.faults)])
def test_store_is_valid_at_every_moment(tmp_path: Path, every: int) -> None:
    kept, path = tmp_path / "kept", tmp_path / "moment" / "run.zarr"
    kept.mkdir()
    path.parent.mkdir()
    with WATCH.recording(tmp_path / "run.zarr", kept, every) as moments:
        whole = write_saved_run(tmp_path / "run.zarr")
    assert len(moments) > 250 / every
    attempts, steps, saved = [], [], []
    read, leftovers = set[frozenset[Any]](), set[str]()
    before: Moment = {}
    for state, moment in moments.items():
        _restore(path, before, moment)
        before = moment
        reader = StoreReader(path)
        assert missing_checkpoints(reader) == []
        for number in generations(reader.path):
            generation = CheckpointReader.open(reader.path, number)
            for rank in range(2):
                generation.verify_rank(rank)
            assert reader.is_recorded_until(generation.attributes["step"])
        until = reader.complete_step
        assert StoreReader(reader.path, skip_damaged_attempts=True).damage is None
        # all is read of each content, and where a file of a new kind is being written
        partial = {one for one in state if one[0].endswith(".partial")}
        content, kinds = state - partial, {re.sub(r"\d+", "", one[0]) for one in partial}
        if content not in read or kinds - leftovers:
            read.add(content)
            leftovers |= kinds
            reader.verify(until)
            step, gid = reader.spikes(0, until)
            np.testing.assert_array_equal(step, whole.step[whole.step <= until])
            np.testing.assert_array_equal(gid, whole.gid[whole.step <= until])
        attempts.append(len(reader.attempts))
        steps.append(until)
        saved.append(max(generations(reader.path), default=0))
    # moments of every kind were seen
    assert {1, 2} <= set(attempts)
    assert {0, 100} <= set(steps)
    assert {0, 1} <= set(saved)
