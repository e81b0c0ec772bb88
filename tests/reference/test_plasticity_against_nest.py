"""Plasticity rules beside NEST's of the same name: every weight after every spike of its source.

Sources and targets spike when told, over a thousand times each: at random, in bursts without a
pause, and together as seen by the synapse (the target one delay before the source). Where a rule
follows the target's potential, spikes are told by kicks, and the potentials are all neurons' own.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from rule_events import followed, levels, weights

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.kernels.plasticity import clopath_synapse
from distsnn.network import (
    STDP,
    AeifPscDeltaClopath,
    ClopathSTDP,
    ConnectionList,
    DopamineSTDP,
    IafPscExp,
    JonkeSTDP,
    Network,
    PlasticSynapse,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeInput,
    SpikeSource,
    STDPPowerLaw,
    TripletSTDP,
    VogelsSTDP,
)
from distsnn.simulation import Simulation

DT, STEPS, BITS = 0.1, 200_000, 30
MODULATION = 13  # steps from a modulating spike to the synapses
DELAYS = np.array([[1, 7, 25], [25, 1, 7], [7, 25, 1]])
SOURCE, TARGET = (index.ravel() for index in np.indices(DELAYS.shape))
RunNest = Callable[..., dict[str, np.ndarray]]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A rule with parameters in NEST's names, `neuron` those that NEST keeps in the target.

    `ours` are those that NEST has not, or under another name.
    """

    model: str
    parameters: Mapping[str, float]
    description: type[PlasticSynapse]
    neuron: Mapping[str, float] = field(default_factory=dict)
    weight: float = 40.0
    modulated: bool = False
    ours: Mapping[str, float | str] = field(default_factory=dict)

    def given(self) -> dict[str, float | str]:
        """Return the parameters under our names."""
        named = {**self.parameters, **self.neuron, **self.ours}
        other = {"Wmax": "w_max", "Wmin": "w_min", "lambda": "learning_rate"}
        return {other.get(name, name): value for name, value in named.items()}


TAU_MINUS = {"tau_minus": 33.7}


def pairs(model: str, pairing: str, **parameters: float) -> Case:
    given = {"tau_plus": 16.8, "lambda": 0.01, "Wmax": 100.0, **parameters}
    return Case(model, given, STDP, TAU_MINUS, ours={"pairing": pairing})


ADDITIVE = {"alpha": 0.5, "mu_plus": 0.0, "mu_minus": 0.0}
NEAREST = ADDITIVE | {"alpha": 0.75}
CASES = {
    "additive": pairs("stdp_synapse", "all_to_all", **ADDITIVE),
    "multiplicative": pairs("stdp_synapse", "all_to_all", alpha=0.6, mu_plus=1.0, mu_minus=1.0),
    "mixed": pairs("stdp_synapse", "all_to_all", alpha=0.4, mu_plus=0.0, mu_minus=1.0),
    "Guetig": pairs("stdp_synapse", "all_to_all", alpha=0.51, mu_plus=0.3, mu_minus=0.2),
    "nearest": pairs("stdp_nn_symm_synapse", "nearest", **NEAREST),
    "restricted": pairs("stdp_nn_restr_synapse", "restricted", **NEAREST),
    "presynaptic": pairs("stdp_nn_pre_centered_synapse", "presynaptic", **NEAREST),
    "power law": Case(
        "stdp_pl_synapse_hom",
        {"tau_plus": 15.0, "lambda": 0.05, "alpha": 0.11, "mu": 0.4},
        STDPPowerLaw,
        TAU_MINUS,
        ours={"w_max": np.inf},  # NEST's has no bound
    ),
    "triplet": Case(
        "stdp_triplet_synapse",
        {
            **{"tau_plus": 16.8, "tau_plus_triplet": 101.0, "Wmax": 100.0},
            **{"Aplus": 0.03, "Aminus": 0.15, "Aplus_triplet": 0.06, "Aminus_triplet": 0.012},
        },
        TripletSTDP,
        {"tau_minus": 33.7, "tau_minus_triplet": 125.0},
    ),
    "inhibitory": Case(
        "vogels_sprekeler_synapse",
        {"tau": 20.0, "alpha": 2.15, "eta": 0.5, "Wmax": -100.0},
        VogelsSTDP,
        {"tau_minus": 20.0},
        weight=-40.0,
    ),
    "dopamine": Case(
        "stdp_dopamine_synapse",
        {
            **{"A_plus": 0.2, "A_minus": 0.12, "tau_plus": 20.0, "tau_c": 300.0, "tau_n": 200.0},
            **{"b": 0.004, "Wmin": 0.0, "Wmax": 100.0},
        },
        DopamineSTDP,
        TAU_MINUS,
        modulated=True,
        ours={"modulator": "D", "modulation_delay": MODULATION * DT},
    ),
    "exponential": Case(
        "jonke_synapse",
        {
            **{"tau_plus": 16.8, "lambda": 0.4, "alpha": 0.3, "beta": 0.05, "Wmax": 100.0},
            **{"mu_plus": -0.02, "mu_minus": 0.01},
        },
        JonkeSTDP,
        TAU_MINUS,
    ),
    # b = 0: NEST clips more often, which shows where c (m - b) changes its sign
    "dopamine above a bound": Case(
        "stdp_dopamine_synapse",
        {
            **{"A_plus": 0.2, "A_minus": 0.12, "tau_plus": 20.0, "tau_c": 300.0, "tau_n": 200.0},
            **{"b": 0.0, "Wmin": 20.0, "Wmax": 100.0},
        },
        DopamineSTDP,
        TAU_MINUS,
        modulated=True,
        ours={"modulator": "D", "modulation_delay": MODULATION * DT},
    ),
}


@dataclass(frozen=True)
class Trains:
    """Steps at which sources, targets and the modulating neuron spike."""

    pre: tuple[Integers, ...]
    post: tuple[Integers, ...]
    modulator: Integers

    @property
    def last(self) -> int:
        """Step of the last spike of a source."""
        return int(max(one[-1] for one in self.pre))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return them as nest_plasticity.py takes them."""
        found = {}
        for name, steps in (("pre", self.pre), ("post", self.post)):
            sizes = [len(one) for one in steps]
            found |= {
                f"{name}_neuron": np.repeat(np.arange(len(steps)), sizes),
                f"{name}_step": np.concatenate(steps),
            }
        return found


def trains(seed: int, steps: int = STEPS, n: int = 900, first: int = 2) -> Trains:
    random, end = np.random.default_rng(seed), steps - 500

    def one(*more: Integers) -> Integers:
        bursts = [np.arange(at, at + 8) for at in random.integers(first + 48, end, n // 45)]
        steps = np.concatenate([*bursts, random.integers(first + 48, end, n), *more])
        return np.unique(steps[steps >= first])

    # before a source has spiked, NEST's nearest-neighbour rules pair with a spike at time 0
    pre = tuple(one(np.array([first + source])) for source in range(len(DELAYS)))
    # at one synapse or the other, a third of all spikes coincide
    post = tuple(
        one(*(random.choice(at[1:], n // 15) - d for at, d in zip(pre, delays, strict=True)))
        for delays in DELAYS.T
    )
    return Trains(pre, post, np.unique(random.integers(first + 48, end, n // 3)))


def of_the_rule(case: Case, spikes: Trains, dt: float = DT) -> list[Floats]:
    """Return every synapse's weights by the rule's own functions, called event by event."""
    rule = import_module(f"distsnn.kernels.plasticity.{case.model}")
    given = {**case.given(), "w_max": abs(case.given()["w_max"])}
    return [
        np.sign(case.weight)
        * weights(
            rule,
            given,
            spikes.pre[source],
            spikes.post[target],
            weight=abs(case.weight),
            dendritic=DELAYS[source, target],
            dt=dt,
            modulators=spikes.modulator + MODULATION if case.modulated else (),
        )
        for source, target in zip(SOURCE, TARGET, strict=True)
    ]


def of_nest(case: Case, spikes: Trains, run_nest: RunNest, dt: float = DT) -> list[Floats]:
    """Return every synapse's weights in NEST."""
    arrays = spikes.arrays()
    if case.modulated:
        arrays |= {
            "modulator_step": spikes.modulator,
            "modulator_delay": np.array(MODULATION),
        }
    found = run_nest(
        {
            "resolution": dt,
            "steps": STEPS,
            "model": case.model,
            "parameters": dict(case.parameters),
            "neuron": dict(case.neuron),
        },
        program="nest_plasticity",
        synapse_source=SOURCE,
        synapse_target=TARGET,
        synapse_weight=np.full(SOURCE.size, case.weight),
        synapse_delay=DELAYS.ravel(),
        **arrays,
    )
    # the spikes are those that were told
    assert found["spike_step"].size == arrays["post_step"].size
    by_synapse = np.split(found["weight"], np.flatnonzero(np.diff(found["synapse"])) + 1)
    steps = np.split(found["step"], np.flatnonzero(np.diff(found["synapse"])) + 1)
    for source, step in zip(SOURCE, steps, strict=True):
        np.testing.assert_array_equal(step, spikes.pre[source])
    return by_synapse


def of_the_engine(case: Case, spikes: Trains, precision: str, path: Path) -> list[Floats]:
    """Return every synapse's weights as they arrive at its target.

    Each synapse has a target of its own, which spikes one step after it is told to. What learns is
    the other current, on which a weight is seen for one step alone.
    """
    names = {
        "w_max",
        "w_min",
        "pairing",
        "modulator",
        "modulation_delay",
        *case.description.parameters(),
    }
    given = {name: value for name, value in case.given().items() if name in names}
    model = case.description(**given, precision=precision)
    sources, modulator = (
        Population(name, len(trains), SpikeSource(*told(trains, 0)))
        for name, trains in (("S", spikes.pre), ("D", [spikes.modulator]))
    )
    neuron = IafPscExp(tau_syn_ex=1e-3, tau_syn_in=1e-3, V_th=0.0, t_ref=0.0)
    targets = Population("T", TARGET.size, neuron, precision="float64")
    trains = [spikes.post[target] for target in TARGET]
    edges = ConnectionList(SOURCE, np.arange(TARGET.size))
    learning = Projection(
        *(sources, targets, edges, case.weight, DELAYS.ravel() * DT),
        receptor="in",
        synapse=model,
        weight_bits=BITS,
    )
    network = Network(
        [sources, modulator, targets],
        [learning],
        [SpikeInput(targets, *told(trains, 1), weight=1e9, receptor="ex")],
        [RecordSpikes(targets), RecordState(targets, "I_syn_in")],
    )
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(STEPS * DT)
    run = StoreReader(path)
    step, gid = run.spikes(0, STEPS)
    for target, steps in enumerate(trains):
        np.testing.assert_array_equal(step[gid == network.first_gid["T"] + target], steps)
    arrived = np.asarray(run.state("T").variables["I_syn_in"][:, :])
    return [
        arrived[spikes.pre[source] + DELAYS[source, target] - 1, synapse]
        for synapse, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True))
    ]


def told(trains: Sequence[Integers], earlier: int) -> tuple[Floats, Integers]:
    """Return times (ms), so many steps earlier, and neurons of spikes."""
    neurons = np.repeat(np.arange(len(trains)), [len(steps) for steps in trains])
    return (np.concatenate(trains) - earlier) * DT, neurons


@pytest.mark.parametrize("name", CASES)
def test_every_weight_of_single_events_is_nests(name: str, run_nest: RunNest) -> None:
    case, spikes = CASES[name], trains(zlib.crc32(name.encode()))
    expected = of_nest(case, spikes, run_nest)
    for mine, theirs in zip(of_the_rule(case, spikes), expected, strict=True):
        # they go up and down, and not along a bound
        assert np.ptp(theirs) > 0.2 * abs(case.weight)
        assert theirs.size > 1000
        assert np.unique(theirs).size > 0.4 * theirs.size
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8 * abs(case.weight))


SEEDS = [(seed, dt) for dt in (0.1, 0.05, 1.0) for seed in range(10)]


@pytest.mark.parametrize(("seed", "dt"), sampled(SEEDS, 10))
def test_exponential_dependence_with_any_parameters_is_nests(
    seed: int, dt: float, run_nest: RunNest
) -> None:
    random = np.random.default_rng(seed)
    ranges = {
        **{"tau_plus": (10.0, 40.0), "lambda": (0.05, 0.5), "alpha": (0.2, 0.6)},
        **{"beta": (0.0, 0.05), "mu_plus": (-0.03, 0.0), "mu_minus": (-0.01, 0.02)},
    }
    given = {name: random.uniform(*both) for name, both in ranges.items()} | {"Wmax": 100.0}
    # every second of the sets has equal time constants
    tau_minus = given["tau_plus"] if seed % 2 else random.uniform(10.0, 40.0)
    case = Case("jonke_synapse", given, JonkeSTDP, {"tau_minus": tau_minus})
    spikes = trains(seed)
    expected = of_nest(case, spikes, run_nest, dt)
    found = of_the_rule(case, spikes, dt)
    apart = max(np.abs(one - other).max() for one, other in zip(found, expected, strict=True))
    print(f"jonke_synapse, set {seed}, dt {dt}: weights differ by at most {apart:.1e} of 100")
    for mine, theirs in zip(found, expected, strict=True):
        assert np.ptp(theirs) > 1.0
        assert theirs.min() >= 0.0
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.validation
@pytest.mark.parametrize("name", CASES)
def test_every_weight_that_acts_is_nests(name: str, run_nest: RunNest, tmp_path: Path) -> None:
    case, spikes = CASES[name], trains(zlib.crc32(name.encode()))
    double, single = (
        of_the_engine(case, spikes, precision, tmp_path / f"{precision}.zarr")
        for precision in ("float64", "float32")
    )
    apart: dict[str, list[float]] = {}
    for index, theirs in enumerate(of_nest(case, spikes, run_nest)):
        np.testing.assert_allclose(double[index], theirs, rtol=1e-6, atol=1e-8 * abs(case.weight))
        # weights above 1 % of the bound
        seen = np.flatnonzero(np.abs(theirs) > 1.0)
        for label, ours, n in (
            ("64", double, None),
            ("32, 500", single, 500),
            ("32", single, 1000),
        ):
            few = seen if n is None else seen[seen < n]
            error = np.abs(ours[index][few] / theirs[few] - 1.0)
            apart.setdefault(label, []).append(float(error.max(initial=0.0)))
    print(f"{name}: relative difference", {label: max(each) for label, each in apart.items()})
    # 500 and 1000 spikes on either side
    assert max(apart["32, 500"]) < 1e-5 and max(apart["32"]) < 5e-5


# --- the target's potential -------------------------------------------------------------------

# Spikes are made by kicks alone, which take V_m over its peak at the end of a step: both simulators
# have them at the same time, which upstrokes would be integrated to. The larger ones do so from
# wherever it is.
KICK, LARGE_KICK, QUIET = 110.0, 160.0, {"V_th_rest": 20.0}
START, LATE = 0.4, 50
# NEST's V_th begins where the default of V_th_rest is.
V_TH = -50.4


@dataclass(frozen=True)
class Followed:
    """Parameters of the neuron, and those of the rule: the target's in NEST, but for `own`."""

    neuron: Mapping[str, float]
    rule: Mapping[str, float]
    own: Mapping[str, float]

    def given(self) -> dict[str, float]:
        """Return the rule's parameters under our names."""
        return {**self.rule, "delay_u_bars": LATE * DT} | {
            {"Wmax": "w_max", "Wmin": "w_min"}.get(name, name): x for name, x in self.own.items()
        }


FOLLOWED = {
    # a spike is 20 steps long; V_m stays below theta_plus otherwise
    "as published": Followed(
        {"t_clamp": 2.0},
        {
            **{"A_LTP": 1e-4, "A_LTD": 1e-3, "theta_plus": -45.3, "theta_minus": -70.6},
            **{"A_LTD_const": 1.0, "u_ref_squared": 60.0},
        },
        {"tau_x": 15.0, "Wmax": 1.0, "Wmin": 0.0},
    ),
    # spikes as short as can be, in bursts; the afterdepolarisation potentiates too
    "homeostatic": Followed(
        {"t_clamp": 0.1, "t_ref": 0.1, "V_reset": -62.0, "tau_u_bar_bar": 50.0},
        {
            **{"A_LTP": 2e-4, "A_LTD": 9e-4, "theta_plus": -60.0, "theta_minus": -68.0},
            **{"A_LTD_const": 0.0, "u_ref_squared": 3000.0},
        },
        {"tau_x": 9.0, "Wmax": 0.9, "Wmin": 0.05},
    ),
}


def potentials_of_nest(
    case: Followed, spikes: Trains, steps: int, run_nest: RunNest, kick: float = KICK
) -> dict[str, np.ndarray]:
    """Return NEST's weights, spikes and states."""
    arrays = spikes.arrays()
    arrays["post_step"] -= 1
    switch = {"A_LTD_const": bool(case.rule["A_LTD_const"])}
    found = run_nest(
        {
            "steps": steps,
            "model": "clopath_synapse",
            "parameters": dict(case.own),
            "target": "aeif_psc_delta_clopath",
            "neuron": {**QUIET, **case.neuron, **case.rule, "delay_u_bars": LATE * DT} | switch,
            "drive": [kick, 1],
            "state": [*clopath_synapse.WATCHED],
        },
        program="nest_plasticity",
        synapse_source=SOURCE,
        synapse_target=TARGET,
        synapse_weight=np.full(SOURCE.size, START),
        synapse_delay=DELAYS.ravel(),
        **arrays,
    )
    for synapse, source in enumerate(SOURCE):
        steps_of_one = found["step"][found["synapse"] == synapse]
        np.testing.assert_array_equal(steps_of_one, spikes.pre[source])
    return found


def of_a_whole_run(case: Followed, spikes: Trains, precision: str, path: Path) -> list[Floats]:
    """Return every synapse's weights after its source's spikes; potentials are the engine's own."""
    sources = Population("S", len(spikes.pre), SpikeSource(*told(spikes.pre, 0)))
    neuron = AeifPscDeltaClopath(**QUIET, **case.neuron, substeps=30)
    targets = Population("T", len(spikes.post), neuron, {"V_th": V_TH}, "float64")
    learning = Projection(
        *(sources, targets, ConnectionList(SOURCE, TARGET), START, DELAYS.ravel() * DT),
        synapse=ClopathSTDP(**case.given(), precision=precision),
        weight_bits=BITS,
        name="learning",
    )
    network = Network(
        [sources, targets],
        [learning],
        [SpikeInput(targets, *told(spikes.post, 0), weight=LARGE_KICK)],
        [
            RecordSpikes(targets),
            RecordState(targets, clopath_synapse.WATCHED),
            RecordWeights("learning", interval=DT),
        ],
    )
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(STEPS * DT)
    recorded = open_run(path).weights("learning")["weight"].compute()
    return [np.asarray(recorded[spikes.pre[one] - 1, at]) for at, one in enumerate(SOURCE)]


def followed_potentials(
    case: Followed, found: Mapping[str, np.ndarray]
) -> list[tuple[Floats, Floats]]:
    """Return what the rule makes of the potentials of each target in NEST."""
    return [
        levels(
            clopath_synapse,
            case.given(),
            {one: np.append(-70.6, found[one][:, target]) for one in clopath_synapse.WATCHED},
            LATE,
        )
        for target in range(3)
    ]


@pytest.mark.validation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FOLLOWED)
def test_every_weight_of_a_whole_run_that_follows_potentials_is_nests(
    name: str, run_nest: RunNest, tmp_path: Path
) -> None:
    case, spikes = FOLLOWED[name], trains(zlib.crc32(name.encode()), first=2 * LATE)
    found = potentials_of_nest(case, spikes, STEPS, run_nest, LARGE_KICK)
    double, single = (
        of_a_whole_run(case, spikes, precision, tmp_path / f"{precision}.zarr")
        for precision in ("float64", "float32")
    )
    step, gid = StoreReader(tmp_path / "float64.zarr").spikes(0, STEPS)
    np.testing.assert_array_equal(step, found["spike_step"])
    np.testing.assert_array_equal(gid - 3, found["spike_neuron"])
    states = StoreReader(tmp_path / "float64.zarr").state("T").variables
    potentials = max(np.abs(states[one][:, :] - found[one]).max() for one in states)
    assert potentials < 1e-5
    print(f"{name}: potentials and averages {potentials:.2g} mV")
    most, both = case.own["Wmax"], followed_potentials(case, found)
    for synapse, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        theirs = found["weight"][found["synapse"] == synapse]
        assert theirs.size > 1000
        assert np.ptp(theirs) > 0.2 * START
        np.testing.assert_allclose(double[synapse], theirs, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(single[synapse], theirs, rtol=0.0, atol=5e-6 * most)
        # each step in which the target potentiates is an event, too: dozens in a spike
        above = found["V_m"][LATE:, target] > case.rule["theta_plus"]
        above &= found["u_bar_plus"][:-LATE, target] > case.rule["theta_minus"]
        before = spikes.pre[source] - DELAYS[source, target] - LATE - 1
        events = np.cumsum(above)[before] + np.arange(theirs.size)
        # a weight that has come down keeps the rounding of when it was large: no less than where
        # all but the weight between two events is float64
        rounded = followed(
            *(clopath_synapse, case.given(), spikes.pre[source], *both[target]),
            weight=START,
            dendritic=DELAYS[source, target],
            kept_as=np.float32,
        )
        seen = (events <= 1000) & (theirs > 0.01 * most)
        assert seen.sum() > 30
        error, least = (
            np.abs(one[seen] / theirs[seen] - 1.0).max() for one in (single[synapse], rounded)
        )
        assert error < max(1e-5, 1.2 * least), (synapse, error, least)
        whole = [np.abs(one[synapse] - theirs).max() / most for one in (double, single)]
        print(
            f"synapse {synapse}: relative difference {error:.2g}, of rounding {least:.2g};", end=""
        )
        print(f" of the bound, whole run: float64 {whole[0]:.2g}, float32 {whole[1]:.2g}")


@pytest.mark.parametrize("name", FOLLOWED)
def test_every_weight_that_follows_nests_potentials_is_nests(name: str, run_nest: RunNest) -> None:
    case, steps = FOLLOWED[name], 40_000
    # NEST takes averages before the start to be 0 mV
    spikes = trains(zlib.crc32(name.encode()), steps, 180, 2 * LATE)
    found = potentials_of_nest(case, spikes, steps, run_nest)
    both = followed_potentials(case, found)
    for synapse, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        mine = followed(
            *(clopath_synapse, case.given(), spikes.pre[source], *both[target]),
            weight=START,
            dendritic=DELAYS[source, target],
        )
        theirs = found["weight"][found["synapse"] == synapse]
        assert np.ptp(theirs) > 0.2 * START
        assert np.unique(theirs).size > 0.4 * theirs.size
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8 * START)
