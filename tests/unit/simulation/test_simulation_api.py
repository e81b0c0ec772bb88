"""A simulation's life: settings, runs, ends, and what it tells about itself."""

import inspect
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import distsnn
from distsnn.comm import SingleProcess
from distsnn.errors import (
    DescriptionError,
    InputError,
    RecordingError,
    SimulationStateError,
    StoreError,
    UsageError,
)
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import (
    IafPscExp,
    Network,
    NeuronModel,
    PoissonInput,
    Population,
    RecordSpikes,
)
from distsnn.network.blocks import make_blocks
from distsnn.partition.assignment import Assignment, make_assignment
from distsnn.simulation import Progress, RunSummary, Simulation, phase_timer, simulate
from distsnn.simulation.build import SimulationSettings, check_same_on_all_ranks
from distsnn.simulation.launched_simulation import run_request, write_request
from distsnn.simulation.phase_timer import TickClock, waiting_times


def test_package_offers_what_users_call() -> None:
    assert distsnn.simulate is simulate
    assert distsnn.Simulation is Simulation


def test_summary_says_what_the_store_says(network: Network, tmp_path: Path) -> None:
    summary = simulate(network, 100.0, out=tmp_path / "run.zarr", seed=3, progress=False)
    numbers = read_run_info(tmp_path / "run.zarr")
    assert numbers.complete and numbers.status == ["complete"]
    for name in ("neurons", "synapses", "ranks", "time_ms", "spikes", "path"):
        assert getattr(summary, name) == getattr(numbers, name)
    assert summary.neurons == network.n_neurons
    assert summary.synapses == network.expected_synapses() == 150 * 27 + 40 * 15
    for name, rate in numbers.rates.items():
        assert summary.rates[name] == pytest.approx(rate)
    # 15 of 40 neurons of I are recorded, and the rate is theirs
    step, gid = StoreReader(tmp_path / "run.zarr").spikes()
    assert summary.rates["I"] == pytest.approx(((gid >= 150) & (gid < 190)).sum() / 15 / 0.1)
    assert summary.rates["S"] == pytest.approx((gid >= 190).sum() / 7 / 0.1)
    assert step.max() <= 1000
    assert summary.real_time_factor == pytest.approx(summary.run_s / 0.1)
    assert json.loads(json.dumps(summary.to_dict())) == summary.to_dict()


def test_timing_by_phase_and_memory_are_stored(network: Network, tmp_path: Path) -> None:
    summary = simulate(network, 200.0, out=tmp_path / "run.zarr", progress=False)
    (rank,) = StoreReader(tmp_path / "run.zarr").attempts[0].ranks
    phases = {"build", "update", "deliver", "exchange", "wait", "record", "total"}
    assert set(rank.timing) == phases
    assert all(spent >= 0.0 for spent in rank.timing.values())
    assert rank.timing["total"] == pytest.approx(summary.run_s)
    inner = sum(rank.timing[name] for name in phases - {"build", "total"})
    assert 0.0 < inner < 1.1 * summary.run_s
    assert rank.memory["peak_rss_bytes"] > 50e6
    assert rank.memory["synapse_bytes"] >= 2 * summary.synapses


def test_store_holds_what_a_run_needs_to_be_repeated(network: Network, tmp_path: Path) -> None:
    simulate(network, 10.0, out=tmp_path / "run.zarr", seed=2**63, progress=False)
    reader = StoreReader(tmp_path / "run.zarr")
    assert Network.from_dict(*reader.network()) == network
    metadata = reader.metadata
    assert metadata["seed"] == 2**63
    assert "model" not in metadata  # which the command line alone knows
    assert metadata["settings"]["partition"] == "round_robin"
    assert metadata["settings"]["epoch_steps"] == 25
    assert {"distsnn", "numpy", "numba", "zarr", "mpi", "python"} <= set(metadata["versions"])
    assert {row["name"]: row["model"] for row in metadata["populations"]} == {
        "E": "iaf_psc_exp",
        "I": "iaf_psc_exp",
        "S": "spike_source",
    }


def test_without_a_store_only_the_summary_remains(network: Network, tmp_path: Path) -> None:
    recorded = simulate(network, 50.0, out=tmp_path / "run.zarr", progress=False)
    summary = simulate(network, 50.0, progress=False)
    assert summary.path is None
    assert (summary.spikes, summary.rates) == (recorded.spikes, recorded.rates)


def test_population_that_is_not_recorded_has_no_rate() -> None:
    cells = [Population(name, 5, IafPscExp(I_e=500.0)) for name in "AB"]
    network = Network(cells, recordings=[RecordSpikes("A")])
    summary = simulate(network, 50.0, progress=False)
    assert summary.rates["B"] is None
    assert summary.rates["A"] is not None and summary.rates["A"] > 0.0
    assert summary.spikes == summary.rates["A"] * 5 * 0.05


def test_seed_decides(network: Network, tmp_path: Path) -> None:
    hashes = set()
    for seed in (0, 1, 2**64 - 1):
        simulate(network, 50.0, out=tmp_path / f"{seed}.zarr", seed=seed, progress=False)
        hashes.add(StoreReader(tmp_path / f"{seed}.zarr").spike_hash())
    assert len(hashes) == 3


def test_simulation_of_no_time_is_one(network: Network, tmp_path: Path) -> None:
    summary = simulate(network, 0.0, out=tmp_path / "run.zarr", progress=False)
    assert (summary.time_ms, summary.spikes, summary.real_time_factor) == (0.0, 0, 0.0)
    assert summary.rates == {"E": None, "I": None, "S": None}
    assert read_run_info(tmp_path / "run.zarr").complete


def test_closing_twice_and_running_afterwards(network: Network, tmp_path: Path) -> None:
    simulation = Simulation(network, out=tmp_path / "run.zarr")
    simulation.run(20.0)
    first = simulation.close()
    assert simulation.close().spikes == first.spikes
    with pytest.raises(SimulationStateError, match="run: the simulation is closed"):
        simulation.run(10.0)
    assert StoreReader(tmp_path / "run.zarr").complete_step == 200


@pytest.mark.parametrize(
    ("time_ms", "message"),
    [
        ("1", "must be a number"),
        (-1.0, "must not be negative"),
        (0.25, "not on the grid"),
        (0.05, "not on the grid; given 0.05; allowed: multiples of dt = 0.1 ms, such as 0.1 ms"),
        (float("nan"), "must be finite"),
    ],
)
def test_invalid_time_is_refused_and_the_simulation_continues(
    network: Network, time_ms: float, message: str
) -> None:
    with Simulation(network) as simulation:
        with pytest.raises(UsageError, match=message):
            simulation.run(time_ms)
        simulation.run(1.0)
        assert simulation.close().time_ms == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed: out of range; given -1"),
        ({"seed": 2**64}, "seed: out of range"),
        ({"seed": 1.0}, "seed: must be an integer"),
        ({"seed": True}, "seed: must be an integer"),
        ({"partition": "robin"}, "partition: unknown strategy 'robin'"),
        ({"partition": "robin", "ranks": 2}, "partition: unknown strategy 'robin'"),
        ({"storage": "packt", "ranks": 2}, "storage: unknown storage 'packt'.*mean 'packed'"),
        ({"delivery": "pus"}, r"unknown delivery 'pus'.*did you mean 'push'"),
        ({"storage": "pack"}, r"unknown storage 'pack'.*did you mean 'packed'"),
        ({"ranks": 0}, "ranks: must be a number of ranks; given 0"),
        ({"ranks": 2.0}, "ranks: must be a number of ranks"),
        ({"ranks": 2, "progress": Progress(io.StringIO())}, "progress: a Progress object cannot"),
    ],
)
def test_wrong_setting_is_refused(network: Network, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(network, 10.0, **({"progress": False} | options))


def test_given_assignment_is_used_and_checked(network: Network) -> None:
    table = make_blocks(network)
    with Simulation(network, partition=make_assignment(table, 1, "contiguous")) as simulation:
        simulation.run(1.0)
    with pytest.raises(DescriptionError, match="assignment does not match the number of ranks"):
        Simulation(network, partition=make_assignment(table, 2, "contiguous"))
    with pytest.raises(DescriptionError, match="assignment does not match the number of ranks"):
        simulate(network, 1.0, ranks=2, partition=make_assignment(table, 3, "contiguous"))


def test_path_is_checked_before_anything_is_built(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("built before the path was checked")

    monkeypatch.setattr("distsnn.simulation.orchestrator.build", never)
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match="taken: exists already"):
        Simulation(network, out=tmp_path / "taken")
    with pytest.raises(StoreError, match="is not a run of distsnn"):
        Simulation(network, out=tmp_path / "taken", overwrite=True)


def test_error_in_the_body_marks_the_run_as_failed(network: Network, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="the user's"),
        Simulation(network, out=tmp_path / "run.zarr") as simulation,
    ):
        simulation.run(30.0)
        raise RuntimeError("the user's")
    numbers = read_run_info(tmp_path / "run.zarr")
    assert not numbers.complete
    assert numbers.status == ["failed: the user's"]
    assert numbers.recorded_ms == pytest.approx(30.0)
    with pytest.raises(SimulationStateError, match="closed"):
        simulation.run(1.0)


def test_interrupt_stops_at_the_end_of_a_segment(network: Network, tmp_path: Path) -> None:
    simulation = Simulation(network, out=tmp_path / "run.zarr")
    before = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while simulation.time_ms < 100.0:
            time.sleep(1e-3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        simulation.run(1e6)
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
    numbers = read_run_info(tmp_path / "run.zarr")
    assert numbers.status == ["stopped: interrupted"]
    stopped = simulation.time_ms
    assert 100.0 <= stopped < 1e6
    assert numbers.recorded_ms == pytest.approx(stopped)
    again = simulate(network, stopped, out=tmp_path / "again.zarr", progress=False)
    assert again.spikes == numbers.spikes
    assert StoreReader(tmp_path / "again.zarr").spike_hash() == numbers.spike_hash


def test_run_from_another_thread_leaves_signals_alone(network: Network) -> None:
    found = []
    with Simulation(network) as simulation:
        thread = threading.Thread(target=lambda: found.append(simulation.run(20.0)))
        thread.start()
        thread.join()
        assert found == [None]
        assert simulation.time_ms == pytest.approx(20.0)


def test_recording_that_fails_ends_the_run(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecordingError, match=r"spikes/step: cannot be written: no space"):  # noqa: SIM117
        with Simulation(network, out=tmp_path / "run.zarr") as simulation:
            simulation.run(50.0)
            simulation._output.recorder._writer.flush()

            def fail(*arguments: object) -> None:
                raise StoreError("cannot be written: no space", path="run.zarr/spikes/step")

            with monkeypatch.context() as patch:
                patch.setattr("distsnn.io.row_stream.RowStream.write", fail)
                simulation.run(1e6)
    numbers = read_run_info(tmp_path / "run.zarr")
    assert numbers.status == ["failed: cannot be written: no space"]
    assert numbers.recorded_ms == pytest.approx(50.0)
    first = simulate(network, 50.0, out=tmp_path / "first.zarr", progress=False)
    assert numbers.spikes == first.spikes


def test_progress_is_shown_where_asked_for(network: Network) -> None:
    stream = io.StringIO()
    simulate(network, 30.0, progress=Progress(stream, terminal=False))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "distsnn: building 197 neurons on 1 rank"
    assert lines[-1].startswith("distsnn: 30 of 30 ms, RTF ")


def test_first_start_says_why_it_takes_a_while(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distsnn.kernel_cache.cache_directory", lambda: tmp_path)
    for compiled in (False, True):
        stream = io.StringIO()
        simulate(network, 1.0, progress=Progress(stream, terminal=False))
        assert ("compiling kernels first" in stream.getvalue().splitlines()[0]) != compiled
        (tmp_path / "kernel.nbc").touch()


def test_worker_does_what_was_written_for_it(network: Network, tmp_path: Path) -> None:
    request = {"time": 20.0, "out": str(tmp_path / "run.zarr"), "seed": 4, "progress": False}
    write_request(str(tmp_path), network, request)
    run_request(str(tmp_path), 0)
    summary = RunSummary(**json.loads((tmp_path / "summary.json").read_text()))
    assert summary.spikes == read_run_info(tmp_path / "run.zarr").spikes
    (tmp_path / "summary.json").unlink()
    write_request(str(tmp_path), network, request | {"overwrite": True})
    run_request(str(tmp_path), 1)
    assert not (tmp_path / "summary.json").exists()


class Beside(SingleProcess):
    """Rank 0 of two; what the other one gathers is made from ours."""

    size = 2

    def __init__(self, other: object) -> None:
        self.other = other

    def allgather(self, value):  # type: ignore[no-untyped-def]
        return [value, value if self.other is None else self.other]


def digest_of(network: Network, settings: SimulationSettings) -> object:
    """What a rank sends to the others."""
    seen = []

    class Listening(Beside):
        def allgather(self, value):  # type: ignore[no-untyped-def]
            seen.append(value)
            return [value, value]

    check_same_on_all_ranks(network, settings, Listening(None))
    return seen[0]


def test_ranks_must_have_the_same_network_and_seed() -> None:
    cells = Population("E", 5, IafPscExp())
    rates = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    network = Network([cells], [], [PoissonInput(cells, rates, 1.0)])
    same = Network([cells], [], [PoissonInput(cells, rates.copy(), 1.0)])
    check_same_on_all_ranks(
        network, SimulationSettings(), Beside(digest_of(same, SimulationSettings()))
    )
    others = [
        (Network([cells], [], [PoissonInput(cells, rates + 1e-12, 1.0)]), SimulationSettings()),
        (Network([cells], [], [PoissonInput(cells, rates, 2.0)]), SimulationSettings()),
        (network, SimulationSettings(seed=2)),
    ]
    for other, settings in others:
        with pytest.raises(UsageError, match="the network or seed of rank 1 differs"):
            check_same_on_all_ranks(
                network, SimulationSettings(), Beside(digest_of(other, settings))
            )
    made = Assignment(3, np.zeros(1, np.int32), groups=(2, 1))
    own = SimulationSettings(partition=made)
    check_same_on_all_ranks(network, own, Beside(digest_of(network, own)))
    for other in (
        Assignment(3, np.ones(1, np.int32), groups=(2, 1)),
        Assignment(3, np.zeros(1, np.int32), groups=(1, 2)),
        "contiguous",
    ):
        settings = SimulationSettings(partition=other)
        with pytest.raises(UsageError, match="the partition of rank 1 differs"):
            check_same_on_all_ranks(network, own, Beside(digest_of(network, settings)))


def test_assignment_must_name_ranks_there_are() -> None:
    with pytest.raises(DescriptionError, match="owner is not a rank"):
        Assignment(2, np.array([0, 2], np.int32))


def test_ticks_are_turned_into_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # 2000 ticks in the half second since the clock was made
    now = {"ticks": 1000, "s": 5.0}
    monkeypatch.setattr(phase_timer, "_ticks", lambda: now["ticks"])
    monkeypatch.setattr(phase_timer, "time", SimpleNamespace(perf_counter=lambda: now["s"]))
    made = TickClock()
    now.update(ticks=3000, s=5.5)
    assert made.seconds(400) == 0.1
    assert made.seconds(0) == 0.0


def test_ticks_go_on_as_time_does() -> None:
    made = TickClock()
    before, first, began = time.perf_counter(), phase_timer._ticks(), time.perf_counter()
    time.sleep(0.1)
    ended, last, after = time.perf_counter(), phase_timer._ticks(), time.perf_counter()
    # however long the machine took to read one clock after the other
    assert 0.95 * (ended - began) <= made.seconds(last - first) <= 1.05 * (after - before)


def test_waiting_is_what_others_did_not_need() -> None:
    assert waiting_times([3.0, 1.0, 1.5]) == [2.0, 0.0, 0.5]
    assert waiting_times([4.0]) == [0.0]


@pytest.mark.ci
def test_peak_memory_is_that_of_what_was_held_even_if_no_longer() -> None:
    # in a process of its own: of this one the peak may be far above what it holds now
    program = """
import numpy
from distsnn.simulation.phase_timer import peak_rss_bytes
before = peak_rss_bytes()
numpy.ones(200_000_000, numpy.uint8)
print(before, peak_rss_bytes())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert 20e6 < before < 2e9
    assert after - before == pytest.approx(200e6, abs=3e6)


def test_time_constant_of_zero_is_refused_before_the_run() -> None:
    model = NeuronModel("dV/dt = (E - V)/tau : mV", parameters={"E": (1, "mV"), "tau": (5, "ms")})
    cells = Population("E", 3, model(tau=np.array([5.0, 0.0, 5.0])))
    with pytest.raises(
        DescriptionError, match=r"population .E., parameters: .* divided by 0.*tau=0"
    ):
        Simulation(Network([cells]))


def test_all_names_may_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    exec("from distsnn import *", names)
    assert names["Simulation"] is Simulation
    assert names["Population"] is Population
    assert {"NeuronModel", "simulate", "open_run"} <= set(dir(distsnn))


def test_constructor_has_the_documented_keywords() -> None:
    names = list(inspect.signature(Simulation).parameters)
    assert names == [
        *("network", "seed", "ranks", "out", "overwrite", "partition", "delivery", "storage"),
        *("progress", "communicator", "policy"),
    ]
