"""What a store lists and no longer holds is named by every reader; the rest can be read."""

import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import numpy as np
import pytest
from saved_run import N_STEPS, newest_recorded, write_replaced_run, write_saved_run
from synthetic_run import Written, owner

from distsnn.analysis import open_run, write_report
from distsnn.cli import info_command
from distsnn.comm import SingleProcess
from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import CHECKPOINT
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.checkpoint_writer import CheckpointWriter
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import RunWriter
from distsnn.simulation.newest_checkpoint import find_newest_checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return a complete run of two ranks, whose folders are moved away and put back."""
    return write_saved_run(tmp_path_factory.mktemp("saved") / "run.zarr")


@pytest.fixture
def copy(saved: Written, tmp_path: Path) -> Path:
    """Return a copy of the run to damage."""
    return shutil.copytree(saved.path, tmp_path / "run.zarr")


def folders(run: Path) -> list[Path]:
    """Return folders below a run whose deletion loses data."""
    # A run may have a single checkpoint, so that an older one that is missing is no damage. What
    # holds for one rank holds for the other.
    found = (path for path in run.rglob("*") if path.is_dir())
    skipped = "generation000002", "rank0000"
    return sorted(path for path in found if not set(skipped) & set(path.parts))


@contextmanager
def without(path: Path, name: str = "away") -> Iterator[None]:
    """Move a file or folder away for some time."""
    run = next(one for one in path.parents if one.name == "run.zarr")
    away = run.with_name(name)
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def resume(path: Path) -> str:
    """Look for the checkpoint that a resume takes; return all that is said."""
    notes = list[str]()
    try:
        newest_recorded(path, SingleProcess(), notes.append)
    except StoreError as error:
        notes.append(str(error))
    return "\n".join(notes)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.ci)])
def test_every_folder_that_is_missing_is_named(
    saved: Written, capsys: pytest.CaptureFixture[str], every: int
) -> None:
    assert resume(saved.path) == ""
    tried = folders(saved.path)
    assert len(tried) > 30
    tried = tried[::every]
    assert {path.relative_to(saved.path).parts[0] == CHECKPOINT for path in tried} == {True, False}
    for folder in tried:
        with without(folder):
            inner = folder.relative_to(saved.path).parts
            if inner[0] == CHECKPOINT:
                assert open_run(saved.path).complete  # recordings are whole
            else:
                with pytest.raises(StoreError) as caught:
                    open_run(saved.path)
                assert str(folder) in str(caught.value), folder
            code = info_command.execute(Namespace(run=saved.path, json=False), SingleProcess())
            said = capsys.readouterr().out
            assert f"missing           {folder}" in said, folder
            assert code == (inner[0] != CHECKPOINT)
            assert ("complete;" in said) == (inner[0] == CHECKPOINT)
            assert str(folder) in resume(saved.path), folder
    assert resume(saved.path) == ""


PARTS = [
    "attempt000",
    "attempt001",
    "attempt001/rank0001",
    "attempt001/rank0001/spikes",
    "attempt001/rank0001/state/V",
    "attempt001/rank0001/weights/E->E",
]


@pytest.mark.parametrize("part", PARTS)
def test_the_rest_can_be_read(saved: Written, part: str) -> None:
    with without(saved.path / part):
        run = open_run(saved.path, partial=True)
        assert [str(saved.path / part)] == [one.partition(": ")[0] for one in run.missing]
        assert not run.complete
        assert "corrupt" in repr(run)
        step, gid = run.reader.spikes()
        kept = np.full(saved.step.size, True)
        if part == "attempt000":
            kept = saved.step > 100
        elif part == "attempt001":
            kept = saved.step <= 150
        elif part in (PARTS[2], PARTS[3]):
            kept = (saved.step <= 100) | (owner(saved.gid, 2) == 0)
        np.testing.assert_array_equal(step, saved.step[kept])
        np.testing.assert_array_equal(gid, saved.gid[kept])
        values = run.state("V")["V_m"].compute().values
        lost = np.isnan(values)
        if part in (PARTS[2], PARTS[4]):
            neurons = owner(np.arange(40, dtype=np.uint32), 2) == 1
            np.testing.assert_array_equal(lost[10:], np.tile(neurons, (len(lost) - 10, 1)))
            assert not lost[:10].any()
        else:
            assert not lost.any()
        weights = run.weights("E->E")["weight"].compute().values
        assert len(weights) == {"attempt000": 20, "attempt001": 15}.get(part, 30)
        lost = np.zeros_like(weights, bool)
        if part in (PARTS[2], PARTS[5]):
            lost[10:] = run.weights("E->E")["target"].values % 2 == 1
        np.testing.assert_array_equal(np.isnan(weights), lost)
        page = write_report(saved.path, saved.path.with_suffix(".html")).read_text()
        assert f"<li>{escape(str(saved.path / part))}" in page
        assert "not complete" not in page
    assert open_run(saved.path).missing == []


@pytest.mark.parametrize("inner", ["", "/weights/E->E"])
def test_weights_of_attempts_that_lost_different_ranks(saved: Written, inner: str) -> None:
    whole = open_run(saved.path).weights("E->E")
    lost = [saved.path / f"attempt{attempt:03d}/rank{attempt:04d}{inner}" for attempt in (0, 1)]
    with without(lost[0], "away0"), without(lost[1], "away1"):
        run = open_run(saved.path, partial=True)
        assert [error.partition(": ")[0] for error in run.missing] == list(map(str, lost))
        found = run.weights("E->E").compute()
    for name in ("source", "target", "delay", "time"):
        np.testing.assert_array_equal(found[name], whole[name])
    of_first = found["target"].values % 2 == 0
    np.testing.assert_array_equal(
        found["weight"].notnull(), np.repeat([~of_first, of_first], [10, 20], axis=0)
    )


def test_missing_chunk_hinders_only_who_needs_it(saved: Written) -> None:
    chunk = saved.path / "attempt001/rank0000/spikes/gid/c/1"
    with without(chunk):
        run = open_run(saved.path, partial=True)
        assert run.missing == [f"{chunk}: corrupt: a chunk is missing"]
        step, _ = run.reader.spikes(0, 100)
        np.testing.assert_array_equal(step, saved.step[saved.step <= 100])
        with pytest.raises(StoreError, match="spikes/gid/c/1"):
            run.reader.spikes()


def test_array_that_is_shorter_than_committed_is_named(copy: Path) -> None:
    array = copy / "attempt000/rank0001/state/V/V_m/zarr.json"
    array.write_text(array.read_text().replace("15,", "14,", 1))
    with pytest.raises(StoreError, match="V/V_m: corrupt: 15 rows committed, 14 stored"):
        open_run(copy)


def flip(path: Path) -> None:
    """Change a byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_resume_falls_back_or_refuses_where_chunks_are_unreadable(copy: Path) -> None:
    last = max((copy / "attempt001/rank0000/spikes/step/c").iterdir(), key=lambda p: int(p.name))
    flip(last)
    notes = list[str]()
    found = newest_recorded(copy, SingleProcess(), notes.append)
    assert found.number == 2
    assert [note.partition(":")[0] for note in notes] == ["checkpoint 3 is not used"]
    assert f"{last.parents[1]}: corrupt" in notes[0]
    flip(copy / "attempt000/rank0001/weights/E->E/weight/c/0/0")
    with pytest.raises(StoreError, match="no complete checkpoint"):
        newest_recorded(copy, SingleProcess(), notes.append)
    assert "weights/E->E/weight" in notes[-1]
    # a branch needs no recordings
    assert find_newest_checkpoint(copy, SingleProcess(), notes.append).number == 3


@pytest.mark.parametrize("content", [None, "", "{", '{"zarr_format": 3, "node_type": "array"}'])
def test_group_of_all_checkpoints_is_made_again(copy: Path, content: str | None) -> None:
    metadata = copy / CHECKPOINT / "zarr.json"
    before = metadata.read_text()
    metadata.unlink() if content is None else metadata.write_text(content)
    assert CheckpointReader.open(copy, 3).spikes(0, 1)[0].tolist() == [N_STEPS]
    assert newest_recorded(copy, SingleProcess(), pytest.fail).number == 3
    CheckpointWriter(copy, 4).write_index({}, {})
    assert metadata.read_text() == before


def test_attempt_that_was_never_listed_is_swept(copy: Path) -> None:
    """As a resume that was killed leaves it: it is no damage, and the next one replaces it."""
    shutil.copytree(copy / "attempt001", copy / "attempt002")
    assert len(StoreReader(copy).attempts) == 2
    RunWriter.resume(copy, 1, start_step=N_STEPS, saved_by=1)
    reader = StoreReader(copy)
    assert [len(attempt.ranks) for attempt in reader.attempts] == [2, 2, 1]
    assert reader.attempts[2].ranks[0].status == "not started"


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return a run of three attempts, of which the last replaced the second."""
    return write_replaced_run(tmp_path_factory.mktemp("replaced") / "run.zarr")


REPLACED = [
    "attempt001/rank0001",
    "attempt001/rank0000/spikes",
    "attempt001/rank0000/spikes/step/c/1",
    "attempt001/rank0001/state/V/V_m",
    "attempt001/rank0001/weights/E->E/source/c/0",
    "attempt000/rank0001/spikes/step/c/3",  # of steps after 100
]


@pytest.mark.parametrize("part", REPLACED)
def test_damage_of_what_was_replaced_is_reported_and_refuses_nothing(
    replaced: Written, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with without(replaced.path / part):
        run = open_run(replaced.path)
        assert run.complete
        step, gid = run.reader.spikes()
        np.testing.assert_array_equal(step, replaced.step)
        np.testing.assert_array_equal(gid, replaced.gid)
        assert run.weights("E->E")["weight"].compute().notnull().all()
        assert [error.path for error in run.reader.superseded_damage] == [str(replaced.path / part)]
        code = info_command.execute(Namespace(run=replaced.path, json=False), SingleProcess())
        assert code == 0
        assert f"superseded        {replaced.path / part}: corrupt" in capsys.readouterr().out
        assert resume(replaced.path) == ""
    assert open_run(replaced.path).reader.superseded_damage == ()


def test_run_continues_despite_damage_of_superseded_data(replaced: Written, tmp_path: Path) -> None:
    copy = shutil.copytree(replaced.path, tmp_path / "run.zarr")
    shutil.rmtree(copy / "attempt001/rank0000")
    assert RunWriter.resume(copy, 2, start_step=N_STEPS, saved_by=2).attempt == 3


def test_what_was_replaced_counts_again_without_its_replacement(
    replaced: Written, tmp_path: Path
) -> None:
    copy = shutil.copytree(replaced.path, tmp_path / "run.zarr")
    shutil.rmtree(copy / "attempt002/rank0000")
    reader = StoreReader(copy, skip_damaged_attempts=True)
    assert [attempt.until_step for attempt in reader.attempts] == [100, None]
    assert reader.complete_step == 200
    shutil.rmtree(copy / "attempt001/rank0001")
    reader = StoreReader(copy, skip_damaged_attempts=True)
    assert [attempt.until_step for attempt in reader.attempts] == [None]
    assert reader.complete_step == 200
    assert str(reader.damage).startswith(str(copy / "attempt001/rank0001"))
