import pickle

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pytest
import zarr
from synthetic_run import E_L, SIZES, metadata, random_spikes, state_values, write_rank, write_run

from distsnn.analysis import open_run, raster
from distsnn.analysis.figure_data import last_window, summary_data
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.committed_arrays import CommittedArray
from distsnn.io.run_writer import RunWriter
from distsnn.network import IafPscExp, Population, PopulationView


def test_the_table_of_populations(run):
    table = run.populations
    assert list(table.index) == ["E", "I"]
    assert table.loc["I"].to_dict() == {
        "first_gid": 80,
        "size": 20,
        "model": "iaf_psc_exp",
        "recorded": 20,
        "recorded_ms": 2000.0,
    }


def test_what_the_run_is(run):
    assert run.complete
    assert (run.dt, run.time_ms) == (0.1, 2000.0)
    assert run.state_names == ["V"]
    assert "100 neurons, 2000 ms, complete" in repr(run)
    assert run.timing.loc[(0, 2), "update"] == 3.0
    assert run.timing.index.names == ["attempt", "rank"]
    assert run.memory["peak_rss_bytes"].tolist() == [100_000_000, 100_000_001, 100_000_002]


def test_spikes_are_one_table_in_order(run, written):
    table = run.spikes()
    assert isinstance(table, dd.DataFrame)
    assert table.npartitions > 5
    loaded = table.compute()
    assert [str(t) for t in loaded.dtypes] == ["int32", "float64", "uint32", "category"]
    assert dict(table.dtypes) == dict(loaded.dtypes)
    np.testing.assert_array_equal(loaded["step"], written.step)
    np.testing.assert_array_equal(loaded["gid"], written.gid)
    np.testing.assert_allclose(loaded["time_ms"], written.step * 0.1)
    assert (loaded["population"] == np.where(written.gid < 80, "E", "I")).all()


@pytest.mark.parametrize("population", ["E", "I", ["I"], ["I", "E"], None])
@pytest.mark.parametrize(
    ("start", "stop"), [(None, None), (100, 300.05), (0, 0.1), (1999.9, None), (500, 1e9), (30, 10)]
)
def test_spikes_of_populations_and_times(run, written, population, start, stop):
    loaded = run.spikes(population, start, stop).compute()
    names = [population] if isinstance(population, str) else population or ["E", "I"]
    of = np.where(written.gid < 80, "E", "I")
    time = written.step * 0.1
    inside = np.isin(of, names) & (time > (start or 0) + 1e-9)
    inside &= time <= (np.inf if stop is None else stop) + 1e-9
    np.testing.assert_array_equal(loaded["step"], written.step[inside])
    np.testing.assert_array_equal(loaded["gid"], written.gid[inside])


def test_spikes_as_arrays(run, written):
    arrays = run.spike_arrays("I", stop=1000)
    inside = (written.gid >= 80) & (written.step <= 10_000)
    assert all(isinstance(array, da.Array) for array in arrays)
    assert arrays.step.dtype == np.int32
    assert arrays.gid.dtype == np.uint32
    np.testing.assert_array_equal(arrays.step.compute(), written.step[inside])
    np.testing.assert_array_equal(arrays.gid.compute(), written.gid[inside])
    np.testing.assert_allclose(arrays.time_ms.compute(), written.step[inside] * 0.1)


def test_nothing_is_loaded_before_it_is_computed(written, monkeypatch):
    def refuse(self: CommittedArray, start: int, stop: int) -> None:
        raise AssertionError(f"rows {start}:{stop} of {self.array.path} were loaded")

    def refuse_values(self: CommittedArray, start: int, stop: int) -> np.ndarray:
        if self.array.path.endswith("/gid") and "state" in self.array.path:
            return np.asarray(self.array[start:stop])  # the labels of the columns
        raise AssertionError(f"rows {start}:{stop} of {self.array.path} were loaded")

    monkeypatch.setattr(CommittedArray, "load", refuse)
    run = open_run(written.path)
    lazy = [
        run.spikes("E", 10, 20),
        run.spike_arrays(),
        run.rates(),
        run.isi(),
        run.cv(),
        run.population_rate(),
        run.power_spectrum(),
        run.synchrony(),
        run.spike_count_histogram(bin_ms=10.0),
        run.spike_count_histogram(),
        run.correlations(neurons=[1, 2, 3]),
    ]
    monkeypatch.setattr(CommittedArray, "load", refuse_values)
    lazy.append(run.state("V"))
    # threads of a failed computation would still load rows during the next test
    with pytest.raises(AssertionError, match="were loaded"):
        dask.compute(lazy[-1], scheduler="synchronous")


def test_a_window_is_loaded_once_for_statistics_that_are_computed_together(run, monkeypatch):
    loads = []
    load = CommittedArray.load

    def note(self: CommittedArray, start: int, stop: int) -> np.ndarray:
        loads.append((self.array.path, start, stop))
        return load(self, start, stop)

    windows = len(run.select().windows())
    monkeypatch.setattr(CommittedArray, "load", note)
    with dask.config.set(scheduler="synchronous"):
        run.rates().compute()
        alone = len(loads)
        loads.clear()
        dask.compute(run.rates(), run.cv(), run.population_rate(bin_ms=2.0), run.rates("I"))
    assert windows > 5
    assert len(loads) == alone


def test_a_state_recording(run):
    state = run.state("V")
    assert isinstance(state["V_m"].data, da.Array)
    assert dict(state.sizes) == {"time": 2000, "neuron": 40}
    assert state["V_m"].dtype == np.float32
    assert state["V_m"].attrs == {"units": "mV", "long_name": "membrane potential"}
    assert state["time"].attrs["units"] == "ms"
    assert state.attrs["population"] == "E"
    np.testing.assert_allclose(state["time"], np.arange(1, 2001) * 1.0)
    np.testing.assert_array_equal(state["gid"], np.arange(40))
    expected = state_values(state["step"].values, state["gid"].values)
    loaded = state.compute()
    np.testing.assert_allclose(loaded["V_m"], expected["V_m"] + E_L, rtol=1e-6)
    np.testing.assert_array_equal(loaded["refractory"], expected["refractory"])
    one = state["V_m"].sel(neuron=7, time=slice(100, 103)).compute()
    np.testing.assert_allclose(one, expected["V_m"][99:103, 7] + E_L, rtol=1e-6)


def test_the_neurons_of_a_view_are_counted_within_their_population(tmp_path):
    sizes = {"A": 8, "E": 80}
    view = {"name": "V", "population": "E", "start": 0, "stop": 32, "variables": ["V_m"]}
    meta = metadata(sizes, 100, recorded_states=[{**view, "interval_steps": 10}])
    path = RunWriter.create(tmp_path / "r.zarr", meta, ({}, {}), 1).path
    from distsnn.io.rank_writer import RankWriter
    from distsnn.io.row_specs import StateRecordingSpec, StateVariable

    gids = np.arange(8, 40, dtype=np.uint32)[::-1].copy()
    spec = StateRecordingSpec(
        name="V",
        variables={"V_m": StateVariable("mV")},
        dtype="float64",
        gids=gids,
        interval_steps=10,
        first_step=10,
    )
    with RankWriter(path, 0, 0, state=[spec]) as writer:
        writer.append_rows("state", "V", 0, {"V_m": np.tile(gids, (3, 1)).astype(float)})
        writer.mark_complete(30)
    state = open_run(path).state("V").compute()
    np.testing.assert_array_equal(state["neuron"], np.arange(32))
    np.testing.assert_array_equal(state["gid"], np.arange(8, 40))
    np.testing.assert_array_equal(state["V_m"], np.tile(np.arange(8.0, 40.0), (3, 1)))


@pytest.mark.parametrize("call", ["rates", "cv", "population_rate", "spikes"])
def test_unknown_populations_are_named(run, call):
    with pytest.raises(DescriptionError, match="did you mean 'E'"):
        getattr(run, call)("e")


def test_unknown_state_recordings_are_named(run):
    with pytest.raises(DescriptionError, match="did you mean 'V'"):
        run.state("v")


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (7, 5), (0, 2000.2)])
def test_a_statistic_beyond_the_recording_is_refused(run, start, stop):
    with pytest.raises(DescriptionError, match="time range"):
        run.rates(None, start, stop)


def test_a_bin_off_the_grid_is_refused(run):
    for bin_ms in (0.15, 0.0, -1.0):
        with pytest.raises(DescriptionError, match="integer number of steps"):
            run.population_rate(bin_ms=bin_ms)


def test_what_is_no_run(tmp_path):
    with pytest.raises(StoreError, match="the path does not exist"):
        open_run(tmp_path / "run.zarr")


def test_only_recorded_neurons_take_part(tmp_path):
    views = [("E", 10, 20), ("E", 15, 30), ("E", 40, 42)]
    recorded = [{"population": p, "start": a, "stop": b} for p, a, b in views]
    step, gid = random_spikes(100, 10_000, 5000, seed=4)
    inside = (gid >= 10) & (gid < 30) | (gid >= 40) & (gid < 42)
    meta = metadata(SIZES, 10_000, recorded_spikes=recorded)
    path = RunWriter.create(tmp_path / "r.zarr", meta, ({}, {}), 1).path
    write_rank(path, 0, 0, 1, (step[inside], gid[inside]), start_step=0, last_step=10_000)
    run = open_run(path, window=300)
    rates = run.rates().compute()
    np.testing.assert_array_equal(rates["gid"], [*range(10, 30), 40, 41])
    expected = np.bincount(gid, minlength=100)[rates["gid"].values] / 1.0
    np.testing.assert_allclose(rates, expected)
    assert run.populations["recorded"].tolist() == [22, 0]
    assert run.population_rate(bin_ms=10.0).sizes["population"] == 1
    np.testing.assert_allclose(
        run.population_rate(bin_ms=1000.0).values, [[np.count_nonzero(inside) / 22]]
    )
    with pytest.raises(DescriptionError, match=r"population 'I'.*recorded"):
        run.rates("I")


def test_a_run_that_records_no_spikes(tmp_path):
    run = open_run(write_run(tmp_path / "r.zarr", recorded_spikes=[]).path)
    with pytest.raises(DescriptionError, match="no spikes were recorded"):
        run.rates()
    assert run.populations["recorded"].tolist() == [0, 0]


def test_statistics_stop_where_the_slowest_rank_is(tmp_path):
    step, gid = random_spikes(100, 10_000, 5000, seed=4)
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 10_000), ({}, {}), 2).path
    write_rank(path, 0, 0, 2, (step, gid), start_step=0, last_step=8000)
    write_rank(path, 0, 1, 2, (step, gid), start_step=0, last_step=5000)
    run = open_run(path)
    assert (run.time_ms, run.complete) == (500.0, False)
    assert "not complete" in repr(run)
    counts = np.bincount(gid[step <= 5000], minlength=100)
    np.testing.assert_allclose(run.rates(), counts / 0.5)
    mine = (gid // 8 % 2 == 0) & (step <= 8000) | (step <= 5000)
    assert len(run.spikes()) == np.count_nonzero(mine)  # all that is committed can be had


def test_a_resumed_run_is_one_run(tmp_path):
    step, gid = random_spikes(100, 10_000, 5000, seed=4)
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 10_000), ({}, {}), 2).path
    for rank in range(2):
        write_rank(path, 0, rank, 2, (step, gid), start_step=0, last_step=5500)
    writer = RunWriter.resume(path, 3, start_step=5000, saved_by=0)
    for rank in range(3):
        write_rank(path, writer.attempt, rank, 3, (step, gid), start_step=5000, last_step=10_000)
    run = open_run(path, window=400)
    loaded = run.spikes().compute()
    np.testing.assert_array_equal(loaded["step"], step)
    np.testing.assert_array_equal(loaded["gid"], gid)
    assert len(run.timing) == 5
    np.testing.assert_array_equal(run.state("V")["step"], np.arange(10, 10_001, 10))


def test_a_run_that_began_from_a_checkpoint_counts_from_there(tmp_path):
    step, gid = random_spikes(100, 10_000, 5000, seed=4)
    meta = metadata(SIZES, 10_000)
    path = RunWriter.create(tmp_path / "r.zarr", meta, ({}, {}), 1, start_step=6000).path
    write_rank(path, 0, 0, 1, (step, gid), start_step=6000, last_step=10_000)
    run, late = open_run(path, window=400), step > 6000
    assert (run.start_ms, run.time_ms, run.duration_ms) == (600.0, 1000.0, 400.0)
    np.testing.assert_allclose(run.rates(), np.bincount(gid[late], minlength=100) / 0.4)
    rate = run.population_rate(bin_ms=1.0)
    np.testing.assert_allclose(rate["time"], np.arange(600.5, 1000.0))
    counts = np.bincount((step[late & (gid < 80)] - 6001) // 10, minlength=400)
    np.testing.assert_allclose(rate.sel(population="E"), counts / 80 / 1e-3)
    np.testing.assert_allclose(
        run.synchrony("E", bin_ms=1.0, neurons=None), [counts.var() / counts.mean()]
    )
    assert len(run.spikes(None, 0.0, 700.0)) == np.count_nonzero(late & (step <= 7000))
    with pytest.raises(DescriptionError, match="allowed: 600 ≤ start < stop ≤ 1000 ms"):
        run.rates(start=500.0)
    # statistics of figures: the last stretch, and bins of a run of 400 ms
    assert last_window(run, 500.0) == (600.0, 1000.0)
    data = summary_data(run)
    np.testing.assert_allclose(data.rates, run.rates())
    assert data.histogram.sum() == 100 * 4


def test_shape_ahead_of_the_commit_does_not_show(tmp_path):
    written = write_run(tmp_path / "r.zarr")
    root = zarr.open_group(written.path, mode="r+")
    for name in ("step", "gid"):
        array = root[f"attempt000/rank0001/spikes/{name}"]
        array.resize((array.shape[0] + 5000,))
    run = open_run(written.path, window=500)
    assert len(run.spikes()) == len(written.step)
    np.testing.assert_array_equal(run.rates() * 2.0, np.bincount(written.gid, minlength=100))


@pytest.mark.ci
def test_tables_and_statistics_travel_to_other_processes(run, written):
    with dask.config.set(scheduler="processes", num_workers=1):
        rates = run.rates("I").compute()
    table = pickle.loads(pickle.dumps(run)).spikes("I")
    assert len(pickle.loads(pickle.dumps(table))) == np.count_nonzero(written.gid >= 80)
    np.testing.assert_allclose(rates, np.bincount(written.gid, minlength=100)[80:] / 2.0)


E_POPULATION, I_POPULATION = (Population(name, size, IafPscExp()) for name, size in SIZES.items())


@pytest.mark.parametrize(
    ("population", "gids"),
    [
        (E_POPULATION, range(80)),
        (E_POPULATION[5], [5]),
        (E_POPULATION[:5], range(5)),
        (I_POPULATION[::3], range(80, 100, 3)),
        (
            [I_POPULATION[[1, 5]], E_POPULATION[2:4], "I", E_POPULATION[3:6]],
            [*range(2, 6), *range(80, 100)],
        ),
        ([I_POPULATION[[5]], I_POPULATION[[1, 7]]], [81, 85, 87]),
        (PopulationView("I"), range(80, 100)),
        (PopulationView("I", 15), range(95, 100)),
    ],
)
def test_populations_and_views_select_their_neurons(run, written, population, gids):
    inside = np.isin(written.gid, gids)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(run.spikes(population).compute()["gid"], written.gid[inside])
    counts = np.bincount(written.gid, minlength=100)[list(gids)]
    np.testing.assert_array_equal(run.rates(population).compute(), counts / 2.0)
    rate = run.population_rate(population, bin_ms=2000.0)
    total = (rate.compute().values[:, 0] * run.select(population).neurons.sizes).sum() * 2.0
    assert total == pytest.approx(inside.sum())


def test_views_of_a_partly_recorded_population_select_what_was_recorded(tmp_path):
    recorded = [{"population": "E", "start": 3, "stop": 12, "neurons": [3, 9, 11]}]
    write_run(tmp_path / "run.zarr", recorded_spikes=recorded)
    run = open_run(tmp_path / "run.zarr")
    assert run.select(E_POPULATION[:10]).neurons.gids.tolist() == [3, 9]
    with pytest.raises(DescriptionError, match="no spikes of these neurons were recorded"):
        run.select(E_POPULATION[20:])
    with pytest.raises(DescriptionError, match="no spikes of this population were recorded"):
        run.select(I_POPULATION)


@pytest.mark.parametrize(
    ("population", "message"),
    [
        (Population("E", 81, IafPscExp()), r"another size in this run.*given 81.*allowed: 80"),
        (PopulationView("E", 70, 81), r"has 80 neurons in this run.*E\[70:81\].*allowed: 0:80"),
        (Population("Ex", 80, IafPscExp()), r"unknown population 'Ex'.*did you mean 'E'"),
        (PopulationView("Ii", 0, 5), r"unknown population 'Ii'.*did you mean 'I'"),
        (["E", 7], r"not a population.*7.*allowed: a name, a Population, a PopulationView"),
        (7, r"not a population.*7.*allowed: a name, a Population, a PopulationView"),
    ],
)
def test_a_population_that_is_not_one_of_the_run_is_refused(run, population, message):
    with pytest.raises(DescriptionError, match=message):
        run.spikes(population)
    with pytest.raises(DescriptionError, match=message):
        raster(run, population)
