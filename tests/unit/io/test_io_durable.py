"""A power cut loses nothing that was on the disk: files are replaced by files that are on it."""

import asyncio
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from saved_run import write_saved_run
from synthetic_run import SIZES, Written, metadata
from zarr.core.buffer import default_buffer_prototype

from distsnn import IafPscExp, Network, Population
from distsnn.analysis import write_report
from distsnn.errors import StoreError
from distsnn.io.durable_files import atomic_write
from distsnn.io.network_files import load_network, save_network
from distsnn.io.rank_writer import RankWriter
from distsnn.io.run_writer import RunWriter, write_script_changes
from distsnn.io.zarr_nodes import open_root

CONTENT = default_buffer_prototype().buffer.from_bytes(b"{}")


class Disk:
    """Records which files were synced before they replaced others, and which folders after it.

    Attributes
    ----------
    replaced : list of Path
        Files that took the name of another.
    unsafe : list of Path
        Those whose content was not on the disk before, or whose folder was not synced after it.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.replaced: list[Path] = []
        self.unsafe: list[Path] = []
        self._synced: set[tuple[int, int]] = set()
        self._calls = os.fsync, os.replace
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(os, "replace", self._replace)
        patch.setattr(os, "rename", self._replace)

    def _fsync(self, descriptor: int) -> None:
        self._calls[0](descriptor)
        self._synced.add(identity(os.fstat(descriptor)))
        folder = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.unsafe = [path for path in self.unsafe if path.parent != folder]

    def _replace(self, source: Path, target: Path) -> None:
        moved, there = identity(Path(source).stat()), Path(target).exists()
        self._calls[1](source, target)
        if there:
            self.replaced.append(Path(target))
            assert moved in self._synced, target
            self.unsafe.append(Path(target))
        # the system may give a file that is removed the number of the next one
        self._synced.discard(moved)


def identity(found: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from all others."""
    return found.st_dev, found.st_ino


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Watch fsync and rename."""
    return Disk(monkeypatch)


def test_every_file_of_a_store_is_replaced_safely(tmp_path: Path, disk: Disk) -> None:
    path = write_saved_run(tmp_path / "run.zarr").path
    assert disk.unsafe == []
    replaced = {file.relative_to(path).as_posix() for file in disk.replaced if path in file.parents}
    assert {
        *("zarr.json", "attempt000/zarr.json", "attempt001/zarr.json"),
        *("attempt001/rank0001/zarr.json", "attempt001/rank0001/spikes/zarr.json"),
        *("attempt001/rank0001/spikes/gid/zarr.json", "attempt001/rank0001/state/V/zarr.json"),
    } <= replaced


def test_block_that_grows_is_replaced_safely(tmp_path: Path, disk: Disk) -> None:
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 100), ({}, {}), 1).path
    with RankWriter(path, 0, 0) as writer:
        for step in range(1, 4):
            writer.append_spikes(np.array([step], np.int32), np.array([7], np.uint32))
            writer.mark_complete(step)
            writer.flush()
    assert disk.unsafe == []
    assert [file.name for file in disk.replaced].count("0") == 4  # of step and gid


@pytest.mark.parametrize("what", ["update", "update_attempt", "write_script_changes"])
def test_attributes_are_replaced_safely(
    run: Written, disk: Disk, what: str, tmp_path: Path
) -> None:
    if what == "write_script_changes":
        write_script_changes(run.path, ["drive"])
    else:
        store = RunWriter(run.path, open_root(run.path, writable=True), 0)
        store.update(complete=True) if what == "update" else store.update_attempt(saved=3)
    assert len(disk.replaced) == 1
    assert disk.unsafe == []


@pytest.mark.parametrize("sync", [False, True])
def test_both_zarr_write_functions_replace_files_atomically(
    run: Written, disk: Disk, sync: bool
) -> None:
    store = open_root(run.path, writable=True).store
    for key, times in (("zarr.json", 1), ("new/c/0", 1), ("new/c/0", 2)):
        if sync:
            store.set_sync(key, CONTENT)
        else:
            asyncio.run(store.set(key, CONTENT))
        assert (run.path / key).read_bytes() == b"{}"
        assert len(disk.replaced) == times
    assert disk.unsafe == []


@pytest.mark.ci
def test_files_beside_a_store_are_replaced_safely(run: Written, disk: Disk, tmp_path: Path) -> None:
    net = Network([Population("E", 2, IafPscExp())])
    for _ in range(2):
        save_network(tmp_path / "net", net)
        write_report(run.path)
    assert [file.name for file in disk.replaced] == ["arrays.npz", "network.json", "run.html"]
    assert disk.unsafe == []


def test_files_of_two_networks_are_distinguished(tmp_path: Path) -> None:
    """As a power cut leaves them between the two writes."""
    networks = [
        Network([Population("E", 2, IafPscExp(I_e=np.array([0.0, value])))]) for value in (1.0, 2.0)
    ]
    for folder, network in zip("ab", networks, strict=True):
        save_network(tmp_path / folder, network)
        assert load_network(tmp_path / folder).to_dict()[0] == network.to_dict()[0]
    shutil.copy(tmp_path / "b" / "arrays.npz", tmp_path / "a")
    with pytest.raises(StoreError, match=r"arrays\.npz does not belong to network\.json"):
        load_network(tmp_path / "a")
    (tmp_path / "b" / "network.json").write_text("[]")
    with pytest.raises(StoreError, match=r"network\.json has no network"):
        load_network(tmp_path / "b")


def test_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
