import hashlib
import json
import pickle
import struct
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from synthetic_run import (
    SIZES,
    metadata,
    random_spikes,
    state_values,
    write_rank,
    write_run,
)

from distsnn.cli.tables import info_lines
from distsnn.comm.supervision.exit_monitor import write_exit_report
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.node_files import read_metadata
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import RunWriter
from distsnn.io.summary import read_run_info


def reference_hash(step: np.ndarray, gid: np.ndarray) -> str:
    packed = b"".join(struct.pack("<iI", s, g) for s, g in zip(step, gid, strict=True))
    return hashlib.sha256(packed).hexdigest()


def test_the_merged_recording_does_not_depend_on_the_ranks(tmp_path):
    for ranks in (1, 2, 3, 7, 16):  # 13 blocks: some ranks of 16 have no neuron
        run = write_run(tmp_path / f"{ranks}.zarr", ranks=ranks, spike_chunk=200)
        reader = StoreReader(run.path)
        step, gid = reader.spikes()
        np.testing.assert_array_equal(step, run.step)
        np.testing.assert_array_equal(gid, run.gid)
        assert (step.dtype, gid.dtype) == (np.int32, np.uint32)
        assert reader.spike_hash() == reference_hash(run.step, run.gid)
        assert reader.n_spikes == len(run.step)
        recording = reader.state("V")
        expected = state_values(recording.steps, recording.gids)
        np.testing.assert_array_equal(recording.steps, np.arange(10, 20_001, 10))
        np.testing.assert_array_equal(
            recording.variables["refractory"][:, :], expected["refractory"]
        )


def test_windows_make_up_the_whole(run):
    reader = StoreReader(run.path)
    windows = reader.windows(target=300)
    parts = list(reader.iterate_spikes(target=300))
    assert len(windows) == len(parts) > 10
    assert max(len(part[0]) for part in parts) < 1500
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), run.step)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), run.gid)


@pytest.mark.parametrize(
    ("first", "last"), [(0, 1), (0, 20_000), (5, 5), (1234, 1300), (19_999, 30_000), (9, 3)]
)
def test_ranges_of_time(run, first, last):
    step, gid = StoreReader(run.path).spikes(first, last)
    inside = (run.step > first) & (run.step <= last)
    np.testing.assert_array_equal(step, run.step[inside])
    np.testing.assert_array_equal(gid, run.gid[inside])


@pytest.mark.ci
def test_a_long_index_is_bisected(tmp_path):
    """More chunks than index entries: rows are found by reading a few chunks."""
    run = write_run(tmp_path / "r.zarr", ranks=1, n_spikes=2500, spike_chunk=4)
    reader = StoreReader(run.path)
    spikes = reader.attempts[0].ranks[0].spikes
    assert spikes is not None
    assert spikes.table.stride > 2 * 4
    for step in (0, 1, 777, 10_000, 19_999, 20_000):
        assert spikes.rows_until(step) == np.searchsorted(run.step, step, side="right")
        window = reader.spikes(step, step + 50)[0]
        inside = (run.step > step) & (run.step <= step + 50)
        np.testing.assert_array_equal(window, run.step[inside])


def test_a_network_that_never_fires(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 50), ({}, {}), 2).path
    reader = StoreReader(path)
    assert reader.complete_step == 0
    assert reader.attempts[0].ranks[1].status == "not started"
    for rank in range(2):
        with RankWriter(path, 0, rank) as writer:
            writer.mark_complete(50)
    reader = StoreReader(path)
    assert (reader.n_spikes, reader.complete_step) == (0, 50)
    assert reader.spike_hash() == hashlib.sha256().hexdigest()
    assert read_run_info(path).rates == {"E": 0.0, "I": 0.0}


def test_plain_zarr_reads_it(run):
    root = zarr.open_group(run.path, mode="r")
    assert root.attrs["populations"][1] == {
        "name": "I",
        "first_gid": 80,
        "size": 20,
        "model": "iaf_psc_exp",
    }
    steps, gids = [], []
    for rank in range(root["attempt000"].attrs["ranks"]):
        spikes = root[f"attempt000/rank{rank:04d}/spikes"]
        committed = spikes.attrs["committed"]
        assert spikes["step"].shape == (committed,)
        steps.append(spikes["step"][:committed])
        gids.append(spikes["gid"][:committed])
    step, gid = np.concatenate(steps), np.concatenate(gids)
    order = np.lexsort((gid, step))
    np.testing.assert_array_equal(step[order], run.step)
    np.testing.assert_array_equal(gid[order], run.gid)
    # Strict JSON everywhere, for readers in other languages.
    for file in run.path.rglob("zarr.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)


def test_no_file_holds_another_ranks_data(run):
    """Each rank has its own group; only the root and the attempt are shared."""
    assert not (run.path / "attempt000" / "c").exists()
    for rank in range(2):
        assert (run.path / "attempt000" / f"rank{rank:04d}" / "zarr.json").is_file()


@pytest.mark.ci
def test_reading_while_ranks_append(tmp_path):
    step, gid = random_spikes(100, 20_000, 60_000, seed=5)
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 20_000), ({}, {}), 2).path
    errors: list[BaseException] = []

    def write(rank: int) -> None:
        try:
            write_rank(
                path,
                0,
                rank,
                2,
                (step, gid),
                start_step=0,
                last_step=20_000,
                pieces=200,
                spike_chunk=256,
                flush_seconds=0.001,
            )
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads) or not seen:
        reader = StoreReader(path)
        until = reader.complete_step
        seen.append(until)
        inside = step <= until
        read = reader.spikes(0, until)
        np.testing.assert_array_equal(read[0], step[inside])
        np.testing.assert_array_equal(read[1], gid[inside])
        recording = reader.state("V")
        expected = state_values(recording.steps, recording.gids)
        np.testing.assert_array_equal(
            recording.variables["refractory"][:, :], expected["refractory"]
        )
    for thread in threads:
        thread.join()
    assert not errors
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "the reader never saw the run in progress"
    assert StoreReader(path).complete_step == 20_000


def test_shape_ahead_of_the_commit_is_ignored(run):
    """As a killed writer leaves it: extended, and perhaps written, but not committed."""
    root = zarr.open_group(run.path, mode="r+")
    for name in ("step", "gid"):
        array = root[f"attempt000/rank0000/spikes/{name}"]
        committed = array.shape[0]
        array.resize((committed + 1000,))
        array[committed : committed + 10] = 12345
    reader = StoreReader(run.path)
    assert reader.spike_hash() == reference_hash(run.step, run.gid)
    spikes = reader.attempts[0].ranks[0].spikes
    assert spikes is not None
    assert spikes.step.shape == (committed,)
    assert len(spikes.step[:]) == committed
    np.testing.assert_array_equal(spikes.step[5:20:3], run.step[run.gid // 8 % 2 == 0][5:20:3])


def damage_chunk(run, name: str) -> Path:
    return run.path / "attempt000" / "rank0000" / "spikes" / name / "c" / "1"


def test_a_missing_chunk_is_noticed(run):
    damage_chunk(run, "step").unlink()
    with pytest.raises(StoreError, match=r"spikes/step/c/1: corrupt: a chunk is missing"):
        StoreReader(run.path).spike_hash()


def test_a_missing_chunk_of_gids_is_noticed(run):
    damage_chunk(run, "gid").unlink()
    with pytest.raises(StoreError, match="spikes/gid/c/1: corrupt: a chunk is missing"):
        StoreReader(run.path).spike_hash()


@pytest.mark.parametrize("name", ["step", "gid"])
def test_a_flipped_bit_is_noticed(run, name):
    chunk = damage_chunk(run, name)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(StoreError, match=rf"spikes/{name}: corrupt or unreadable.*checksum"):
        StoreReader(run.path).spike_hash()


def test_a_truncated_chunk_is_noticed(run):
    chunk = damage_chunk(run, "step")
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(StoreError, match=r"spikes/step/c/1: corrupt"):
        StoreReader(run.path).spike_hash()


def test_more_committed_than_stored_is_noticed(run):
    group = zarr.open_group(run.path, mode="r+")["attempt000/rank0000/spikes"]
    group["step"].resize((100,))
    with pytest.raises(StoreError, match="rows committed, 100 stored"):
        StoreReader(run.path).spike_hash()


@pytest.mark.parametrize(
    "attributes",
    [
        {"committed": -5},
        {"committed": "many"},
        {"index_step": [3, 2, 1]},
        {"index_step": []},
        {"index_step": [[[1]]]},
        {"last_spike_step": 10**400},
        {"index_stride": 0},
        {"committed_step": 1, "last_spike_step": 1},
    ],
)
def test_a_commit_that_contradicts_itself_is_noticed(run, attributes):
    group = zarr.open_group(run.path, mode="r+")["attempt000/rank0000/spikes"]
    group.update_attributes(attributes)
    with pytest.raises(StoreError, match="rank0000/spikes"):
        StoreReader(run.path)


def nest_attributes(run, depth):
    file = run.path / "zarr.json"
    deep = "[" * depth + "]" * depth
    file.write_text(
        file.read_text().replace('"attributes": {', f'"attributes": {{"command": {deep},')
    )


def test_metadata_that_is_nested_without_end_is_noticed(run):
    nest_attributes(run, 100_000)
    with pytest.raises(StoreError, match=r"run\.zarr"):
        StoreReader(run.path)


def test_deeply_nested_metadata_is_read_or_reported(run):
    """What Python's own limits allow differs between its versions (600 is too deep for 3.11)."""
    nest_attributes(run, 600)
    try:
        reader = StoreReader(run.path)
    except StoreError as error:
        assert str(run.path) in str(error)
    else:
        assert reader.n_committed == run.gid.size


@pytest.mark.parametrize("place", ["", "attempt000", "attempt000/rank0001/spikes"])
def test_truncated_metadata_is_noticed(run, place):
    file = run.path / place / "zarr.json"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(StoreError, match=rf"{place}.*corrupt: "):
        StoreReader(run.path)


def test_metadata_may_be_replaced_by_longer_ones_while_they_are_read(run, monkeypatch):
    folder, opened = run.path / "attempt000", Path.open
    before = read_metadata(folder)
    longer = run.path / "longer.json"
    longer.write_text((folder / "zarr.json").read_text().replace("{", "{" + " " * 100, 1))

    def replace_and_open(path: Path, *arguments):
        longer.replace(path)
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", replace_and_open)
    assert read_metadata(folder) == before
    assert not longer.exists()


def test_what_is_no_run(tmp_path, run):
    with pytest.raises(StoreError, match="the path does not exist"):
        StoreReader(tmp_path / "nothing")
    with pytest.raises(StoreError, match="not a Zarr store"):
        StoreReader(tmp_path)
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(StoreError, match="not a run of distsnn"):
        StoreReader(tmp_path / "other.zarr")
    for version in (0, -1, 99, True, None, "1"):
        zarr.open_group(run.path, mode="r+").update_attributes({"format_version": version})
        with pytest.raises(StoreError, match=f"format version {version}; this distsnn reads ver"):
            StoreReader(run.path)


def test_unknown_names(run):
    reader = StoreReader(run.path)
    with pytest.raises(DescriptionError, match="did you mean 'V'"):
        reader.state("v")
    with pytest.raises(DescriptionError, match="did you mean 'E'"):
        reader.population("e")


@pytest.mark.parametrize("ranks", [1, 5])
def test_attempts_make_one_recording(tmp_path, ranks):
    """Killed after step 1100, resumed twice from earlier checkpoints, with other ranks."""
    step, gid = random_spikes(100, 3000, 9000, seed=8)
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 3000), ({}, {}), 2).path
    for rank in range(2):  # rank 1 got further than rank 0
        write_rank(path, 0, rank, 2, (step, gid), start_step=0, last_step=1100 + 50 * rank)
    writer = RunWriter.resume(path, 3, start_step=1000, saved_by=0)
    for rank in range(3):
        # The second attempt's spikes are shifted: where it is superseded, they must not show.
        other = (step, np.where(step > 2000, (gid + 1) % 100, gid).astype(np.uint32))
        key = np.lexsort((other[1], other[0]))
        write_rank(
            path,
            writer.attempt,
            rank,
            3,
            (other[0][key], other[1][key]),
            start_step=1000,
            last_step=2500,
            spike_chunk=64,
        )
    writer = RunWriter.resume(path, ranks, start_step=2000, saved_by=0)
    reader = StoreReader(path)  # the third attempt has not recorded anything yet
    assert (reader.complete_step, reader.last_step) == (2000, 2000)
    np.testing.assert_array_equal(reader.spikes()[0], step[step <= 2000])
    for rank in range(ranks):
        write_rank(path, writer.attempt, rank, ranks, (step, gid), start_step=2000, last_step=3000)
    reader = StoreReader(path)
    assert reader.spike_hash() == reference_hash(step, gid)
    assert reader.n_spikes == len(step)
    assert reader.complete_step == 3000
    parts = list(reader.iterate_spikes(target=200))
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), step)
    recording = reader.state("V")
    np.testing.assert_array_equal(recording.steps, np.arange(10, 3001, 10))
    expected = state_values(recording.steps, recording.gids)
    np.testing.assert_array_equal(recording.variables["refractory"][:, :], expected["refractory"])
    np.testing.assert_array_equal(
        recording.variables["refractory"][90:210, 3:9], expected["refractory"][90:210, 3:9]
    )


def test_steps_that_a_slower_rank_has_not_committed_are_not_complete(tmp_path):
    step, gid = random_spikes(100, 1000, 3000, seed=8)
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 1000), ({}, {}), 2).path
    write_rank(path, 0, 0, 2, (step, gid), start_step=0, last_step=600)
    write_rank(path, 0, 1, 2, (step, gid), start_step=0, last_step=400)
    reader = StoreReader(path)
    assert (reader.complete_step, reader.last_step) == (400, 600)
    read = reader.spikes()  # nothing that was committed is hidden
    mine = (gid // 8 % 2 == 0) & (step <= 600) | (step <= 400)
    np.testing.assert_array_equal(read[0], step[mine])
    assert len(reader.state("V").steps) == 40
    assert read_run_info(path).recorded_ms == pytest.approx(40.0)


def test_a_killed_rank_that_had_only_made_its_group(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 100), ({}, {}), 2).path
    root = zarr.open_group(path, mode="r+")
    root.create_group("attempt000/rank0000", attributes={"status": "running"})
    root.create_group("attempt000/rank0000/state")
    root.create_group(
        "attempt000/rank0001/spikes",
        attributes={
            "committed": 0,
            "committed_step": 0,
            "last_spike_step": 0,
            "index_stride": 8,
            "index_step": [],
        },
    )
    root["attempt000/rank0001"].update_attributes({"status": "running"})
    reader = StoreReader(path)
    assert reader.n_spikes == 0
    assert reader.complete_step == 0
    assert reader.state("V").variables["V_m"].shape == (0, 40)


def test_neurons_missing_from_a_state_recording_are_noticed(run):
    gids = zarr.open_group(run.path, mode="r+")["attempt000/rank0000/state/V/gid"]
    gids[0] = 39
    with pytest.raises(StoreError, match="differ from recording 'V'"):
        StoreReader(run.path).state("V")


def test_state_arrays_are_indexed_like_arrays(run):
    array = StoreReader(run.path).state("V").variables["refractory"]
    whole = array[:, :]
    assert whole.shape == array.shape == (2000, 40)
    np.testing.assert_array_equal(array[3:900:7, 5], whole[3:900:7, 5])
    np.testing.assert_array_equal(array[-1, ::2], whole[-1, ::2])
    with pytest.raises(IndexError):
        array[::-1, :]


def test_readers_travel_to_other_processes(run):
    reader = pickle.loads(pickle.dumps(StoreReader(run.path)))
    assert reader.spike_hash() == reference_hash(run.step, run.gid)


def test_the_summary(run):
    summary = read_run_info(run.path)
    data = summary.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert summary.neurons == 100
    assert summary.ranks == 2
    assert summary.spikes == len(run.step)
    assert summary.spike_hash == reference_hash(run.step, run.gid)
    assert summary.peak_rss_bytes == [100_000_000, 100_000_001]
    assert summary.real_time_factor == 2.0
    expected = np.count_nonzero(run.gid < 80) / 80 / 2.0
    assert summary.rates["E"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("", {"wall_clock": {"run_s": "long"}}),
        ("", {"wall_clock": {"run_s": -(10**400)}}),
        ("attempt000/rank0001", {"timing": {"total": [1.0]}}),
        ("attempt000/rank0001", {"memory": {"peak_rss_bytes": True}}),
    ],
)
def test_figures_that_are_none_are_damage(run, group, values):
    (name,), (table,) = values.keys(), values.values()
    zarr.open_group(run.path / group).attrs.update(values)
    with pytest.raises(StoreError, match=f"corrupt: {name}.{next(iter(table))} is not a number"):
        StoreReader(run.path)


def test_damaged_exit_report_is_listed_with_other_information(run):
    folder = run.path / "attempt000" / "exit_reports"
    about = {"host": "h", "pid": 1, "time": "2026-01-01", "cause": "was ended by signal 9"}
    for rank in (0, 1):
        write_exit_report(folder, {"rank": rank, "step": 10, **about})
    summary = read_run_info(run.path)
    assert [one["rank"] for one in summary.exit_reports] == [0, 1]
    for damage in ("", "{}", (folder / "rank0000/zarr.json").read_text().replace("10", "1" * 99)):
        (folder / "rank0000" / "zarr.json").write_text(damage)
        other, corrupt = read_run_info(run.path).exit_reports
        assert other["rank"] == 1
        assert f"{folder}/rank0000" in corrupt["damage"]
        lines = info_lines(read_run_info(run.path))
        assert sum(line.startswith("  lost") for line in lines) == 2
        assert any("a rank, whose exit report cannot be read: " in line for line in lines)


def test_summary_takes_no_memory_for_neurons_that_are_only_claimed(tmp_path):
    run = write_run(tmp_path / "r.zarr")
    populations = metadata(SIZES, 100)["populations"]
    populations[1] |= {"size": 2**31 - 100}
    views = [{"population": "I", "start": 0, "stop": 2**31 - 100}]
    zarr.open_group(run.path).attrs.update(populations=populations, recorded_spikes=views)
    tracemalloc.start()
    summary = read_run_info(run.path)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert summary.rates["E"] is None
    expected = np.count_nonzero(run.gid >= 80) / (2**31 - 100) / 2.0
    assert summary.rates["I"] == pytest.approx(expected)


def test_only_recorded_neurons_count_for_the_rate(tmp_path):
    views = [{"population": "E", "start": a, "stop": b} for a, b in ((0, 10), (5, 20))]
    run = write_run(tmp_path / "r.zarr", recorded_spikes=views)
    summary = read_run_info(run.path)
    assert summary.rates["I"] is None
    assert summary.rates["E"] == pytest.approx(np.count_nonzero(run.gid < 20) / 20 / 2.0)
    listed = [30, 31, 35, 77]
    views.append({"population": "E", "start": 30, "stop": 78, "neurons": listed})
    run = write_run(tmp_path / "listed.zarr", recorded_spikes=views)
    n_spikes = np.count_nonzero((run.gid < 20) | np.isin(run.gid, listed))
    assert read_run_info(run.path).rates["E"] == pytest.approx(n_spikes / 24 / 2.0)
    assert np.flatnonzero(StoreReader(run.path).recorded("E")).tolist() == [*range(20), *listed]


def test_the_documented_lines_read_it(run, monkeypatch):
    text = (Path(__file__).parents[3] / "docs" / "store-format.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    run.path.rename(run.path.with_name("run.zarr"))
    monkeypatch.chdir(run.path.parent)
    names: dict[str, np.ndarray] = {}
    exec(code, names)
    np.testing.assert_array_equal(names["step"][names["order"]], run.step)
    np.testing.assert_array_equal(names["gid"][names["order"]], run.gid)
    np.testing.assert_allclose(names["times"], run.step * 0.1)
