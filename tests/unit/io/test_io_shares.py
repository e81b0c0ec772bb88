"""Before a run is resumed, each rank checks a share of its recordings, and all ranks agree."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import thread_ranks
from saved_run import (
    N_STEPS,
    VERSIONS,
    newest_recorded,
    write_generation,
    write_replaced_run,
    write_saved_run,
)
from synthetic_run import SIZES, Written, metadata, random_spikes, write_rank

from distsnn.comm import SingleProcess
from distsnn.errors import StoreError
from distsnn.io.run_writer import RunWriter
from distsnn.simulation.newest_checkpoint import open_shared_reader

RANKS = 4


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 4 ranks with many chunks, saved twice."""
    spikes = random_spikes(sum(SIZES.values()), N_STEPS, 3000, seed=3)
    path = tmp_path_factory.mktemp("chunked") / "run.zarr"
    root = RunWriter.create(path, metadata(SIZES, N_STEPS, versions=VERSIONS), ({}, {}), RANKS)
    for rank in range(RANKS):
        span: dict[str, Any] = {"start_step": 0, "last_step": N_STEPS, "spike_chunk": 32}
        write_rank(path, 0, rank, RANKS, spikes, **span)
    root.update_attempt(recordings=["spikes", "state/V"])
    for number, step in ((1, 250), (2, N_STEPS)):
        write_generation(root, number, step)
    return path


def opened(path: Path, ranks: int, patch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each file of the recordings is opened when the run goes on."""
    counts, really = Counter[str](), Path.open

    def count(self: Path, *arguments: Any, **more: Any) -> Any:
        if path in self.parents and "rank" in str(self.relative_to(path)):
            counts[self.relative_to(path).as_posix()] += 1
        return really(self, *arguments, **more)

    with patch.context() as patched:
        patched.setattr(Path, "open", count)
        found, _ = thread_ranks.run(
            ranks,
            lambda communicator: newest_recorded(path, communicator, pytest.fail),
        )
    assert [one.number for one in found] == [2] * ranks
    return counts


def test_each_file_is_checked_by_one_rank(chunked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = opened(chunked, 1, monkeypatch)
    chunks = {name for name in alone if "/c/" in name and "attempt" in name}
    assert len(chunks) > 150
    for ranks in (2, 4, 7):
        assert opened(chunked, ranks, monkeypatch) == alone


def test_only_chunks_after_the_older_checkpoint_are_read(
    chunked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, really = set[Path](), Path.read_bytes

    def note(self: Path) -> bytes:
        read.add(self)
        return really(self)

    monkeypatch.setattr(Path, "read_bytes", note)
    newest_recorded(chunked, SingleProcess(), pytest.fail)
    spikes = chunked / "attempt000/rank0000/spikes/step/c"
    numbers = sorted(int(path.name) for path in spikes.iterdir())
    found = sorted(int(path.name) for path in read if path.parent == spikes)
    assert 3 < len(found) < len(numbers) / 3
    assert found == numbers[-len(found) :]


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_old_chunks_are_checked_by_size_and_header(tmp_path: Path, damage: str) -> None:
    path = write_saved_run(tmp_path / "run.zarr").path
    chunk = path / "attempt000/rank0001/weights/E->E/weight/c/0/0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content if damage == "flipped" else content[:-1])
    if damage == "gone":
        chunk.unlink()
    notes = list[str]()
    if damage == "flipped":  # readers notice it; no checkpoint that is kept could bring it back
        assert newest_recorded(path, SingleProcess(), notes.append).number == 3
        assert notes == []
    else:
        with pytest.raises(StoreError, match="no complete checkpoint"):
            newest_recorded(path, SingleProcess(), notes.append)
        assert str(chunk) in notes[0]


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return a run of three attempts, of which the last replaced the second."""
    return write_replaced_run(tmp_path_factory.mktemp("replaced") / "run.zarr")


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ([], (3, N_STEPS)),
        (["attempt002/rank0001"], (2, 200)),
        (["attempt001/rank0000"], (3, N_STEPS)),
        (["attempt001/rank0000", "attempt002/rank0001"], (1, 200)),
        (["attempt000/rank0001", "attempt002/rank0000"], (0, 0)),
    ],
)
def test_ranks_agree_on_what_is_left_out(
    replaced: Written, tmp_path: Path, ranks: int, lost: list[str], expected: tuple[int, int]
) -> None:
    path = shutil.copytree(replaced.path, tmp_path / "run.zarr")
    for name in lost:
        shutil.rmtree(path / name)
    found, _ = thread_ranks.run(ranks, lambda communicator: open_shared_reader(path, communicator))
    agreed = {(len(one.attempts), one.complete_step, str(one.damage)) for one in found}
    damage = str(None)
    if expected[0] < 3:
        damage = f"{path / lost[0]}: corrupt: the group is missing"
    assert agreed == {(*expected, damage)}


def test_ranks_agree_on_the_complete_step(replaced: Written, tmp_path: Path) -> None:
    path = shutil.copytree(replaced.path, tmp_path / "run.zarr")
    metadata_file = path / "attempt002/rank0001/spikes/zarr.json"
    about = json.loads(metadata_file.read_text())
    about["attributes"]["committed_step"] = 250
    metadata_file.write_text(json.dumps(about))
    notes = list[str]()
    found, _ = thread_ranks.run(
        3,
        lambda communicator: newest_recorded(path, communicator, notes.append),
    )
    assert [one.number for one in found] == [2, 2, 2]
    wanted = (
        f"checkpoint 3 is not used: {path}/checkpoint/generation000003: the checkpoint is at step"
    )
    assert set(notes) == {f"{wanted} 300, but the recordings are complete only up to step 250"}


def test_ranks_that_read_different_attempts_raise(replaced: Written, tmp_path: Path) -> None:
    older = tmp_path / "older.zarr"
    shutil.copytree(replaced.path, older)
    root = json.loads((older / "zarr.json").read_text())
    root["attributes"]["attempts"] -= 1
    (older / "zarr.json").write_text(json.dumps(root))

    def read(communicator: Any) -> None:
        # as where another job adds an attempt, or a file server shows an older state
        open_shared_reader(older if communicator.rank == 0 else replaced.path, communicator)

    errors, _ = thread_ranks.run(3, read)
    assert all(isinstance(error, StoreError) for error in errors)
    assert all("changed while it was read" in str(error) for error in errors)
