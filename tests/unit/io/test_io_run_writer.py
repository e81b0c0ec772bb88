import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zarr
from synthetic_run import SIZES, metadata, state_spec, state_values, write_run

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import run_writer
from distsnn.io.network_arrays import load_arrays
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import RunWriter, is_run
from distsnn.io.zarr_nodes import open_root

META = metadata(SIZES, 100)
NOTHING = ({}, {})


def names_in(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_description_round_trips(tmp_path):
    arrays = {
        "projections/0/weight": np.random.default_rng(0).normal(size=(70, 30)),
        "projections/0/sources": np.arange(5, dtype=np.uint16),
        "flags": np.array([True, False]),
        "big endian": np.arange(4, dtype=">i4"),
        "none": np.zeros((0, 3), np.float32),
        "one": np.array(2.5),
        "zeros": np.zeros(10),
    }
    json = {"stimuli": [{"stop": float("inf")}], "populations": ["E"]}
    writer = RunWriter.create(tmp_path / "a" / "run.zarr", META, (json, arrays), 2)
    assert writer.attempt == 0
    reader = StoreReader(writer.path)
    loaded_json, loaded = reader.network()
    assert loaded_json == json
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
    assert reader.metadata["seed"] == META["seed"]
    assert not reader.complete


def test_a_large_array_is_stored_in_chunks_and_a_missing_one_is_noticed(tmp_path):
    array = np.zeros((3000, 1000))
    writer = RunWriter.create(tmp_path / "r.zarr", META, ({}, {"w": array}), 1)
    root = open_root(writer.path)
    assert root["network/arrays/w"].chunks[0] < 3000
    np.testing.assert_array_equal(load_arrays(root, ["w"])["w"], array)
    chunk = writer.path / "network" / "arrays" / "w" / "c" / "1" / "0"
    chunk.unlink()
    with pytest.raises(StoreError, match=r"arrays/w/c/1/0: corrupt: a chunk is missing"):
        load_arrays(root, ["w"])


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"../x": np.zeros(1)}, "name cannot be stored"),
        ({"a//b": np.zeros(1)}, "name cannot be stored"),
        ({"a": np.array(["text"])}, "not an array of numbers"),
    ],
)
def test_arrays_that_cannot_be_stored_leave_nothing_behind(tmp_path, arrays, what):
    with pytest.raises(DescriptionError, match=what):
        RunWriter.create(tmp_path / "r.zarr", META, ({}, arrays), 1)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["-x.zarr", "./-x.zarr", "--out"])
def test_a_name_that_reads_as_an_option_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="a name that starts with a dash is read as an option"):
        RunWriter.create(name, META, NOTHING, 1)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("gone", ["", "attempt000", "attempt000/rank0000/state/V"])
def test_a_store_that_is_removed_is_not_made_again(tmp_path, gone):
    store = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 100), ({}, {}), 1).path
    spec = state_spec(np.arange(40, dtype=np.uint32), 0, 0)
    writer = RankWriter(store, 0, 0, state=[spec])
    shutil.rmtree(store / gone)
    writer.append_spikes(np.array([5], np.int32), np.array([1], np.uint32))
    writer.append_rows("state", "V", 0, state_values(np.array([10]), spec.gids))
    writer.mark_complete(10)
    with pytest.raises(StoreError, match="was removed while it was being written"):
        writer.flush()
    with suppress(StoreError):
        writer.close()
    assert not (store / gone).exists()


def test_what_could_not_be_written_is_removed_though_files_still_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removals = []

    def write_beside(path: Path, ignore_errors: bool) -> None:
        removals.append(path)
        if len(removals) < 3:  # a file appears after its folder was listed
            assert (path / "zarr.json").exists() and ignore_errors
        else:
            remove(path)

    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", write_beside)
    build = tmp_path / "build"
    build.mkdir()
    (build / "zarr.json").touch()
    run_writer._remove(build)
    assert not build.exists()
    assert len(removals) == 3


def test_a_run_that_is_removed_is_not_made_again(tmp_path):
    writer = RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 1)
    shutil.rmtree(writer.path)
    for update in (writer.update, writer.update_attempt):
        with pytest.raises(StoreError, match="was removed while it was being written"):
            update()
    assert names_in(tmp_path) == set()


def test_an_existing_path_is_refused_and_kept(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    before = StoreReader(run.path).spike_hash()
    with pytest.raises(StoreError, match=r"r\.zarr: exists already"):
        RunWriter.create(run.path, META, NOTHING, 1)
    assert StoreReader(run.path).spike_hash() == before
    assert names_in(tmp_path) == {"r.zarr"}


def test_overwriting_replaces_a_run(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    RunWriter.create(run.path, META, NOTHING, 3, overwrite=True)
    reader = StoreReader(run.path)
    assert reader.n_spikes == 0
    assert len(reader.attempts[0].ranks) == 3
    assert names_in(tmp_path) == {"r.zarr"}


def test_overwriting_through_a_link_replaces_what_it_points_to(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    link = tmp_path / "latest.zarr"
    link.symlink_to(run.path.name)
    RunWriter.create(link, META, NOTHING, 1, overwrite=True)
    assert link.is_symlink()
    assert StoreReader(run.path).n_spikes == 0


def test_overwriting_spares_everything_else(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("irreplaceable")
    zarr.create_group(tmp_path / "other.zarr", attributes={"format": "somebody else's"})
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "other.zarr", "file"):
        with pytest.raises(StoreError, match="is not a run of distsnn"):
            RunWriter.create(tmp_path / name, META, NOTHING, 1, overwrite=True)
        assert not is_run(tmp_path / name)
    assert (folder / "chapter1.tex").read_text() == "irreplaceable"


def test_overwriting_nothing_is_creating(tmp_path):
    RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 1, overwrite=True)
    assert is_run(tmp_path / "r.zarr")


def test_leftovers_of_killed_starts_are_removed(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = {f".r.zarr.{os.getppid()}.partial", f".r.zarr2.{ended.pid}.partial", ".r.zarr.partial"}
    swept = {f".r.zarr.{pid}.partial" for pid in (ended.pid, os.getpid())}
    for name in (*kept, *swept, f".r.zarr.{ended.pid}.old.partial"):
        (tmp_path / name / "attempt000").mkdir(parents=True)
    RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 1)
    assert names_in(tmp_path) == {"r.zarr", *kept}


def test_a_run_that_cannot_be_made_leaves_the_old_one(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    before = StoreReader(run.path).spike_hash()
    with pytest.raises(StoreError, match="'seed' is missing"):
        RunWriter.create(
            run.path, {k: v for k, v in META.items() if k != "seed"}, NOTHING, 1, overwrite=True
        )
    assert StoreReader(run.path).spike_hash() == before
    assert names_in(tmp_path) == {"r.zarr"}


def test_a_path_below_a_file_is_named_in_the_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"file.*(Not a directory|exists)"):
        RunWriter.create(tmp_path / "file" / "r.zarr", META, NOTHING, 1)


def test_a_parent_that_is_not_writable_is_named_in_the_error(tmp_path, monkeypatch):
    # Root may write anywhere, so the refusal is made up.
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="Permission denied") as caught:
        RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 1)
    assert str(tmp_path) in str(caught.value)
    assert "partial" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "must contain a table"),
        ([{"name": "E", "first_gid": 0, "size": 3}], "lacks"),
        ([{"name": "E", "first_gid": 1, "size": 3, "model": "m"}], "order of the populations"),
        ([{"name": "E", "first_gid": 0, "size": 0, "model": "m"}], "order of the populations"),
    ],
)
def test_a_bad_table_of_populations_is_refused(tmp_path, table, message):
    with pytest.raises(DescriptionError, match=message):
        RunWriter.create(tmp_path / "r.zarr", {**META, "populations": table}, NOTHING, 1)


def test_no_ranks_are_refused(tmp_path):
    with pytest.raises(DescriptionError, match="number of ranks is too small"):
        RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 0)
    assert names_in(tmp_path) == set()


def test_resuming_adds_an_attempt_and_sweeps(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    leftover = run.path / "attempt000" / "rank0000" / f"zarr.{'0f' * 16}.partial"
    leftover.write_text("half")
    kept = run.path / "notes.partial"
    kept.write_text("somebody's")
    writer = RunWriter.resume(run.path, 3, start_step=500, saved_by=0, assignment={"strategy": "x"})
    assert writer.attempt == 1
    assert not leftover.exists()
    assert kept.exists()
    writer.update_attempt(last_step=700)
    attempt = StoreReader(run.path).attempts[1]
    assert (attempt.start_step, len(attempt.ranks)) == (500, 3)
    assert attempt.assignment == {"strategy": "x"}
    assert not StoreReader(run.path).complete


def test_kill_while_attempts_are_swept_brings_none_of_them_back(tmp_path, monkeypatch):
    run = write_run(tmp_path / "r.zarr")
    for step in (500, 700):
        RunWriter.resume(run.path, 1, start_step=step, saved_by=0)
    (run.path / "attempt001" / "zarr.json").write_text("")

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("distsnn.io.run_writer.shutil.rmtree", killed)
        RunWriter.resume(run.path, 1, start_step=500, saved_by=0)
    assert RunWriter.resume(run.path, 1, start_step=500, saved_by=0).attempt == 1
    assert [attempt.start_step for attempt in StoreReader(run.path).attempts] == [0, 500]
    # nor does one that is found behind a gap
    (run.path / "attempt001").rename(run.path / "attempt003")
    assert RunWriter.resume(run.path, 1, start_step=600, saved_by=0).attempt == 1
    assert {"attempt000", "attempt001"} == {n for n in names_in(run.path) if "attempt" in n}


def test_complete_run_does_not_begin_another_attempt(tmp_path, monkeypatch):
    run = write_run(tmp_path / "r.zarr")
    assert StoreReader(run.path).complete

    def killed(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distsnn.io.run_writer.create_group", killed)
    with pytest.raises(KeyboardInterrupt):
        RunWriter.resume(run.path, 1, start_step=500, saved_by=0)
    assert not StoreReader(run.path).complete


def test_resuming_nothing(tmp_path):
    with pytest.raises(StoreError, match="the path does not exist"):
        RunWriter.resume(tmp_path / "r.zarr", 1, start_step=0, saved_by=0)


def test_attributes_change_in_one_write(tmp_path, monkeypatch):
    writer = RunWriter.create(tmp_path / "r.zarr", META, NOTHING, 1)
    seen = []
    replace = Path.replace

    def note(self: Path, target: Path) -> Path:
        seen.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    writer.update(complete=True, target_time_ms=20.0, target_steps=200, wall_clock={"run_s": 1.0})
    assert seen == [writer.path / "zarr.json"]
    reader = StoreReader(writer.path)
    assert reader.complete
    assert reader.metadata["target_steps"] == 200


def test_a_run_is_found_after_it_was_moved(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    shutil.move(run.path, tmp_path / "elsewhere.zarr")
    assert StoreReader(tmp_path / "elsewhere.zarr").n_spikes == len(run.step)
