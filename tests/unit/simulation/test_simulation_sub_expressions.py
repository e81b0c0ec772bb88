"""Recorded and read sub-expressions, such as synaptic currents: what follows from states."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import assert_same, recorded
from thread_ranks import run as run_ranks

from distsnn.cli.main import main
from distsnn.comm import Communicator, SingleProcess
from distsnn.engine import probes
from distsnn.errors import DescriptionError
from distsnn.io.fixed_sums import fixed_sums, from_fixed
from distsnn.io.reader import StoreReader
from distsnn.network import (
    IafBw2001,
    IafCondExp,
    IafPscExp,
    Network,
    NeuronModel,
    PoissonInput,
    Population,
    RecordState,
    Uniform,
    aeif_cond_alpha_multisynapse,
)
from distsnn.simulation import RunPolicy, Simulation

TIME = 12.0
# Functions of all kinds, other units than those of the base, dt, and what varies between neurons.
OWN = NeuronModel(
    equations="""
        unblocked = 1/(1 + exp(-0.062*V_m/mV)/3.57) : 1
        I_nmda = g*unblocked*(E_ex - V_m) : nA  # current through NMDA receptors
        growth = (1 + g/uS)**exponent + (V_m/mV)**3 + (g/nS)**0.5 - (V_m/mV)**-2 : 1
        chosen = where(V_m > E_L and not g < 1*nS, log(g/nS), clip(V_m/mV, -66, -60)) : 1
        level = max(exprel(V_m/(20*mV)), erf(V_m/(50*mV)), abs(dt/ms)) - min(tau/s, 1) : 1
        fixed = 2*tau : s
        dV_m/dt = (E_L - V_m)/tau + I_nmda/C_m : mV
        dg/dt = -g/(5*ms) : nS
    """,
    receptors={"ex": "g"},
    parameters={
        "C_m": (0.2, "nF", "> 0"),
        "tau": (0.02, "s", "> 0"),
        "E_L": (-65.0, "mV"),
        "E_ex": (0.0, "mV"),
        "exponent": (1.5, "1"),
    },
    initial={"V_m": "E_L"},
    name="own",
)
OWN_NAMES = ("unblocked", "I_nmda", "growth", "chosen", "level", "fixed")


def network() -> Network:
    start = {"V_m": Uniform(-70.0, -56.0)}
    levels = np.linspace(-5.0, 5.0, 210)
    e = Population("E", 210, IafCondExp(E_ex=levels), start)
    i = Population("I", 90, IafCondExp(E_in=-82.0), start, precision="float64")
    o = Population("O", 70, OWN(exponent=Uniform(0.5, 2.0)), start)
    drives = [PoissonInput(one, 9000.0, 1.5, receptor="ex") for one in (e, i, o)]
    return Network(
        [e, i, o],
        [],
        [*drives, PoissonInput(i, 3000.0, -4.0, receptor="in")],
        [
            RecordState(e, ["I_syn", "V_m", "g_ex", "g_in"], name="all"),
            RecordState(e[::3], "I_syn", interval=0.3, name="alone"),
            RecordState(e, "I_syn", name="sum", reduce="sum"),
            RecordState(e, ["V_m", "I_syn_ex"], name="mean", reduce="mean"),
            RecordState(i, ["V_m", "g_ex", "g_in", "I_syn_ex", "I_syn_in", "I_syn"], name="fine"),
            RecordState(o, ["V_m", "g"], name="own states"),
            RecordState(o, OWN_NAMES, name="own"),
        ],
    )


def simulated(path: Path, **given: Any) -> Path:
    quiet = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(network(), seed=3, out=path, policy=quiet, **given) as simulation:
        for length in (4.3, TIME - 4.3):
            simulation.run(length)
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("currents") / "alone.zarr")


def values(path: Path, name: str) -> dict[str, np.ndarray]:
    recording = StoreReader(path).state(name)
    return {name: array.load(0, array.shape[0]) for name, array in recording.variables.items()}


def test_currents_are_those_of_recorded_states(alone: Path) -> None:
    fine = values(alone, "fine")
    v, g_ex, g_in = (fine[name] for name in ("V_m", "g_ex", "g_in"))
    # in float64 every operation is numpy's
    assert fine["I_syn_ex"].tobytes() == (g_ex * (0.0 - v)).tobytes()
    assert fine["I_syn_in"].tobytes() == (g_in * (-82.0 - v)).tobytes()
    assert fine["I_syn"].tobytes() == (fine["I_syn_ex"] + fine["I_syn_in"]).tobytes()
    assert np.ptp(fine["I_syn_ex"]) > 100.0 and np.ptp(fine["I_syn_in"]) > 50.0
    single = values(alone, "all")
    assert single["I_syn"].dtype == np.float32
    v = single["V_m"].astype(np.float64)
    expected = single["g_ex"] * (np.linspace(-5.0, 5.0, 210) - v) + single["g_in"] * (-85.0 - v)
    np.testing.assert_allclose(single["I_syn"], expected, rtol=1e-6)
    assert values(alone, "alone")["I_syn"].tobytes() == single["I_syn"][2::3, ::3].tobytes()


def test_values_are_computed_in_parts_of_any_size(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # three rows of 70 neurons, one of 210
    monkeypatch.setattr(probes, "_MOST_VALUES", 230)
    assert_same(recorded(alone), recorded(simulated(tmp_path / "run.zarr")))


def test_sums_and_means_are_those_of_all_values(alone: Path) -> None:
    every = values(alone, "all")["I_syn"]
    assert values(alone, "sum")["I_syn"].tolist() == from_fixed(fixed_sums(every)).tolist()
    states = values(alone, "all")
    mean = (states["g_ex"] * (np.linspace(-5.0, 5.0, 210) - states["V_m"])).mean(axis=1)
    np.testing.assert_allclose(values(alone, "mean")["I_syn_ex"], mean, rtol=1e-5)


def test_own_model_has_the_values_of_its_text(alone: Path) -> None:
    states, found = values(alone, "own states"), values(alone, "own")
    v, g = (states[name].astype(np.float64) for name in ("V_m", "g"))
    with Simulation(network(), seed=3) as simulation:
        exponent = simulation["O"].parameters["exponent"]
    assert np.ptp(exponent) > 1.0
    erf = np.vectorize(math.erf)
    unblocked = 1 / (1 + np.exp(-0.062 * v) / 3.57)
    x = v / 20
    expected = {
        "unblocked": unblocked,
        "I_nmda": g * unblocked * (0.0 - v) / 1e3,
        "growth": (1 + g / 1e3) ** exponent + v**3 + g**0.5 - v**-2.0,
        "chosen": np.where((v > -65) & ~(g < 1), np.log(np.maximum(g, 1)), np.clip(v, -66, -60)),
        "level": np.maximum(np.maximum(np.expm1(x) / x, erf(v / 50)), 0.1) - 0.02,
        "fixed": np.full_like(v, 0.04),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=1e-6, err_msg=name)
    assert len(np.unique(found["chosen"])) > 100
    units = StoreReader(alone).state("own").variables
    assert [units[name].units for name in ("I_nmda", "fixed")] == ["nA", "s"]
    assert units["I_nmda"].long_name == "current through NMDA receptors"


@pytest.mark.parametrize(
    ("ranks", "partition"),
    [(2, "contiguous"), (2, "population"), (3, "round_robin"), (5, "graph")],
)
def test_values_are_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, ranks: int, partition: str
) -> None:
    path = tmp_path / "run.zarr"

    def work(communicator: Communicator) -> None:
        simulated(path, communicator=communicator, partition=partition)

    assert run_ranks(ranks, work) == ([None] * ranks, None)
    assert_same(recorded(alone), recorded(path))


def test_resumed_run_has_the_values_of_the_whole(alone: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"

    def begin(communicator: Communicator) -> None:
        quiet = RunPolicy(heartbeat_timeout=np.inf)
        given = {"communicator": communicator, "policy": quiet}
        with Simulation(network(), seed=3, out=path, **given) as simulation:
            simulation.run(4.3)
            simulation.save()
            simulation.run(4.0)

    assert run_ranks(3, begin) == ([None] * 3, None)
    with Simulation.resume(path, network=network()) as simulation:
        simulation.run(TIME - 4.3)
    assert_same(recorded(alone), recorded(path))


def changed(path: Path, *, resumed: bool = False) -> Path:
    """Run with parameters that a script sets: those of a current, and the offset of a state."""
    described = Network(
        [Population("E", 130, IafCondExp(), {"V_m": Uniform(-70.0, -56.0)})],
        [],
        [PoissonInput("E", 9000.0, 1.5, receptor="ex")],
        [RecordState("E", ["V_m", "g_ex", "I_syn_ex"])],
    )
    halves = np.where(np.arange(130) < 64, 3.0, 7.0)
    simulation = Simulation(described, seed=5, out=path, communicator=SingleProcess())
    with simulation:
        simulation.run(5.0)
        # the same for the neurons of a block, but not for all
        simulation["E"].parameters["E_ex"] = halves
        simulation["E"].parameters["E_L"] = -66.3
        simulation.run(5.0)
        simulation.save()
        if not resumed:
            simulation.run(5.0)
    if resumed:

        def work(communicator: Communicator) -> None:
            policy = RunPolicy(heartbeat_timeout=np.inf)
            given = {"communicator": communicator, "policy": policy}
            with Simulation.resume(path, network=described, **given) as simulation:
                simulation.run(5.0)

        assert run_ranks(2, work) == ([None] * 2, None)
    return path


def test_values_follow_parameters_that_a_script_sets(tmp_path: Path) -> None:
    whole = changed(tmp_path / "whole.zarr")
    found = values(whole, "E")
    reversal = np.where(np.arange(130) < 64, 3.0, 7.0) * (np.arange(150) >= 50)[:, None]
    expected = found["g_ex"] * (reversal - found["V_m"])
    np.testing.assert_allclose(found["I_syn_ex"], expected, rtol=1e-6)
    assert_same(recorded(whole), recorded(changed(tmp_path / "resumed.zarr", resumed=True)))


def test_values_are_read_between_runs_and_not_set(alone: Path) -> None:
    def work(communicator: Communicator) -> None:
        quiet = RunPolicy(heartbeat_timeout=np.inf)
        with Simulation(network(), seed=3, communicator=communicator, policy=quiet) as simulation:
            simulation.run(TIME)
            state = simulation["E"].state
            last = values(alone, "all")["I_syn"][-1]
            assert state["I_syn"].dtype == np.float64
            assert state["I_syn"].tolist() == last.tolist()
            assert simulation["E"].state["I_syn"][7:9].tolist() == last[7:9].tolist()
            assert simulation["O"].state["fixed"].tolist() == [float(np.float32(0.04))] * 70
            assert "I_syn" not in dict(state)
            with pytest.raises(DescriptionError, match=r"follows from state variables .* be set"):
                state["I_syn"] = 0.0
            with pytest.raises(DescriptionError, match="did you mean 'I_syn_in'"):
                _ = state["I_syn_inn"]
            with pytest.raises(DescriptionError, match="did you mean 'V_m'"):
                state["Vm"] = 0.0

    assert run_ranks(2, work) == ([None] * 2, None)


REFUSED = {
    "I_total": "it contains I_stim, the current of stimuli",
    "through": "it contains I_stim, the current of stimuli",
    "late": "it contains t, the time",
    "arrived": r"it contains input\(ex\), the input of a step",
    "noise": "it contains xi, white noise",
    "chance": r"it contains uniform\(\), a random number",
    "before": r"it contains previous\(\), a value at the start of the step",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_value_between_steps_is_refused_with_the_reason(name: str) -> None:
    model = NeuronModel(
        equations="""
            I_syn = g*(0*mV - V_m) : pA
            I_total = I_syn + I_stim : pA
            through = 2*I_total : pA
            late = V_m*t/ms : mV
            arrived = input(ex) : nS
            noise = V_m*xi*sqrt(ms) : mV
            chance = uniform() : 1
            before = previous(V_m) : mV
            dV_m/dt = through/C_m + (late + noise - V_m)/(10*ms) : mV
            dg/dt = (arrived - g)/ms : nS
        """,
        threshold="V_m > 0*mV and chance < 0.5",
        reset="V_m = before - 10*mV",
        receptors={"ex": "g"},
        parameters={"C_m": (100.0, "pF")},
        name="many",
    )
    cells = Population("cells", 3, model())
    pattern = f"'cells', field variables.*'{name}' of many has no value between two steps: "
    with pytest.raises(DescriptionError, match=pattern + REFUSED[name]):
        Network([cells], recordings=[RecordState(cells, ["V_m", name])])
    Network([cells], recordings=[RecordState(cells, ["V_m", "I_syn"])])
    simulation = Simulation(Network([cells]))
    with simulation, pytest.raises(DescriptionError, match=REFUSED[name]):
        _ = simulation["cells"].state[name]


def test_misspelt_names_are_suggested_and_names_are_once() -> None:
    cells = Population("cells", 3, IafBw2001())
    with pytest.raises(DescriptionError, match=r"I_NMDA.*did you mean 'I_NMDA'"):
        Network([cells], recordings=[RecordState(cells, "I_NDMA")])
    with pytest.raises(DescriptionError, match="named twice"):
        Network([cells], recordings=[RecordState(cells, ["I_NMDA", "I_NMDA"])])


def test_built_in_models_have_synaptic_currents() -> None:
    assert {"I_syn", "I_syn_1", "I_syn_2"} < {
        *aeif_cond_alpha_multisynapse([0.0, -80.0], [1.0, 2.0]).readable()
    }
    assert {"I_AMPA", "I_GABA", "I_NMDA", "I_syn"} < {*IafBw2001.readable()}
    assert "I" not in IafPscExp.readable()
    assert IafPscExp.readable()["I_syn"].unit == "pA"


def test_buffers_are_for_states_that_are_sampled() -> None:
    def steps(*variables: str) -> int:
        cells = Population("cells", 40_000, IafCondExp())
        return probes.max_undrained_steps(
            Network([cells], recordings=[RecordState(cells, variables)])
        )

    # of I_syn three states are sampled
    assert steps("I_syn") == steps("V_m", "g_ex", "g_in") < steps("I_syn_ex") < steps("V_m")
    assert steps("I_syn") == steps("I_syn", "V_m", "I_syn_in")


def test_info_names_what_is_recorded(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(alone)]) == 0
    printed = capsys.readouterr().out
    assert "alone: I_syn every 0.3 ms\n" in printed
    assert "sum: I_syn every 0.1 ms, sum over neurons\n" in printed
    assert main(["info", "--json", str(alone)]) == 0
    rows = json.loads(capsys.readouterr().out)["recorded_states"]
    assert rows["alone"] == {
        "population": "E",
        "projection": None,
        "variables": ["I_syn"],
        "interval_ms": pytest.approx(0.3),
        "reduce": None,
    }
