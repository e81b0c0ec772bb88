"""Every rule in a simulation: its weights are those of its events, taken one by one.

Some parameters of each differ from synapse to synapse. Compiling ten modules takes a minute: most
of this is validation.
"""

import dataclasses
from collections.abc import Collection
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from own_rules import RELEASING, REWARDED
from rule_events import weights

from distsnn.engine.plasticity.rule_constants import rule_module_name
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    BCM,
    STDP,
    ConnectionList,
    ContrastiveSTDP,
    DopamineSTDP,
    IafPscExp,
    ModulatedSynapse,
    Network,
    Oja,
    PlasticSynapse,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    SpikeSource,
    STDPPowerLaw,
    TripletSTDP,
    Uniform,
    VogelsSTDP,
)
from distsnn.simulation import Simulation

DT, MIDDLE, END = 0.1, 1733, 4000
PAUSE = (1201, 2900)
# bursts of successive steps among irregular spikes
KEYS = np.unique(
    np.concatenate(
        [np.random.default_rng(2).integers(0, 20 * END, 1200), np.arange(0, 600, 20) + 7]
    )
)
SOURCES = Population("S", 20, SpikeSource((KEYS // 20 + 1) * DT, KEYS % 20))
TARGETS = Population("E", 150, IafPscExp(), {"V_m": Uniform(-70.0, -50.0)}, "float64")
RULES: dict[str, PlasticSynapse] = {
    "restricted": STDP(pairing="restricted", learning_rate=0.1, axonal_delay=0.5),
    "presynaptic": STDP(pairing="presynaptic", learning_rate=0.1),
    "power law": STDPPowerLaw(learning_rate=0.5, alpha=0.2),
    "triplet": TripletSTDP(Aplus=0.15, Aminus=0.15, Aplus_triplet=0.03, Aminus_triplet=0.02),
    "inhibitory": VogelsSTDP(w_max=-90.0, eta=0.3, alpha=7.6),
    "dopamine": DopamineSTDP(
        modulator="S", b=3.0, tau_c=200.0, modulation_delay=0.8, A_plus=0.01, A_minus=0.01
    ),
    "signal": DopamineSTDP(tau_c=200.0, axonal_delay=0.3),
    "Oja": Oja(eta=2.0, alpha=0.02),
    "BCM": BCM(eta=0.05, tau_theta=300.0, rate_0=190.0),
    "contrastive": ContrastiveSTDP(eta=0.2, axonal_delay=0.2),
    "releasing": RELEASING(A=0.2, B=0.5, axonal_delay=0.3),
    "own": REWARDED(modulator="S", modulation_delay=0.8, rate=1e-6, w_max=100.0),
}
RNG = np.random.default_rng(3)
PAIRS = np.divmod(np.sort(RNG.choice(20 * 150, 150, replace=False)), 150)
Floats = npt.NDArray[np.float64]


def each(low: float, high: float) -> Floats:
    """Return a value for each synapse, in the order of (source, target)."""
    return RNG.uniform(low, high, PAIRS[0].size)


EACH: dict[str, dict[str, Floats]] = {
    "restricted": {"learning_rate": each(0.05, 0.15), "w_max": each(81.0, 120.0)},
    "presynaptic": {"alpha": each(0.5, 1.5), "mu_plus": each(0.2, 1.0), "mu_minus": each(0.2, 1.0)},
    "power law": {"mu": each(0.2, 0.6), "alpha": each(0.1, 0.3), "learning_rate": each(0.3, 0.7)},
    "triplet": {
        **{"Aplus": each(0.1, 0.2), "Aminus": each(0.1, 0.2)},
        **{"Aplus_triplet": each(0.01, 0.05), "Aminus_triplet": each(0.01, 0.03)},
    },
    "inhibitory": {"eta": each(0.2, 0.4), "alpha": each(7.0, 8.0), "w_max": each(-99.0, -82.0)},
    "dopamine": {"A_plus": each(0.005, 0.02), "w_min": each(0.0, 20.0)},
    "signal": {"A_minus": each(0.5, 2.0)},
    "Oja": {"eta": each(1.0, 3.0), "alpha": each(0.01, 0.03)},
    "BCM": {"eta": each(0.03, 0.07)},
    "contrastive": {"eta": each(0.1, 0.3), "w_min": each(0.0, 20.0)},
    "own": {"rate": each(5e-7, 2e-6)},
    "releasing": {"U": each(0.1, 0.9), "tau_x": each(0.0, 90.0), "tau_y": each(5.0, 40.0)},
}
SIGNALS = {"signal": [(0, 0.02), (MIDDLE, -0.01)], "contrastive": [(0, 1.0), (MIDDLE, -1.0)]}
assert all(isinstance(RULES[name], ModulatedSynapse) for name in SIGNALS)


def network(precision: str, names: Collection[str]) -> Network:
    return Network(
        [SOURCES, TARGETS],
        [
            Projection(
                *(SOURCES, TARGETS, ConnectionList(*PAIRS)),
                weight=Uniform(*((-80.0, -20.0) if RULES[name].sign < 0 else (20.0, 80.0))),
                delay=Uniform(1.0, 4.0),
                synapse=dataclasses.replace(RULES[name], precision=precision, **EACH[name]),
                name=name,
            )
            for name in names
        ],
        [PoissonInput(TARGETS, 9000.0, 70.0)],
        [RecordSpikes(SOURCES), RecordSpikes(TARGETS)],
    )


Found = dict[str, tuple[Floats, ...]]
Trains = list[npt.NDArray[np.int64]]


def simulated(
    path: Path, names: Collection[str], pause: tuple[int, ...] = ()
) -> tuple[Found, Trains]:
    """Return each projection's sources, targets, delays, and weights at the start and the end.

    And, in float64, the steps of each neuron's spikes. Learning is off between two steps.
    """
    with Simulation(network("float64", names), out=path) as simulation:
        first = {name: simulation[name].weights for name in names}
        points = sorted({0, MIDDLE, *pause})
        for at, after in pairwise([*points, END]):
            for name in names:
                if at in pause:
                    simulation[name].learning = at == pause[-1]
                if (level := dict(SIGNALS.get(name, ())).get(at)) is not None:
                    simulation[name].signal = level
            simulation.run((after - at) * DT)
        handles = {name: simulation[name] for name in names}
        found = {
            name: (one.sources, one.targets, one.delays, first[name], one.weights)
            for name, one in handles.items()
        }
    step, gid = StoreReader(path).spikes(0, END)
    return found, [step[gid == neuron].astype(np.int64) for neuron in range(170)]


def expected(
    name: str, columns: tuple[Floats, ...], trains: Trains, pause: tuple[int, ...]
) -> Floats:
    """Return the weights at the end, by the rule's functions called event by event."""
    rule = RULES[name]
    given = {one.name: getattr(rule, one.name) for one in dataclasses.fields(rule)}
    axonal = rule.axonal_steps(DT)
    modulated = getattr(rule, "modulator", "") == "S"
    modulator = np.concatenate(trains[:20]) + 8 if modulated else ()
    found = []
    for n, (source, target, delay, first, _) in enumerate(zip(*columns, strict=True)):
        own = given | {parameter: values[n] for parameter, values in EACH[name].items()}
        found.append(
            weights(
                import_module(rule_module_name(rule)),
                own | {"w_max": abs(own["w_max"])},
                *(trains[source], trains[target]),
                weight=abs(first),
                dendritic=round(delay / DT) - axonal,
                axonal=axonal,
                modulators=modulator,
                signal=SIGNALS.get(name, ()),
                pause=pause,
                until=END,
            )[-1]
        )
    return rule.sign * np.array(found)


# One process compiles the modules for all.
pytestmark = pytest.mark.xdist_group("rules of plasticity")


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Trains]:
    return simulated(tmp_path_factory.mktemp("rules") / "run.zarr", RULES)


@pytest.fixture(scope="module")
def pausing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Trains]:
    return simulated(tmp_path_factory.mktemp("rules") / "run.zarr", RULES, PAUSE)


@pytest.mark.validation
@pytest.mark.parametrize("name", RULES)
def test_weights_are_those_of_single_events(name: str, learning: tuple[Found, Trains]) -> None:
    columns, trains = learning[0][name], learning[1]
    first, last = columns[3:]
    np.testing.assert_allclose(last, expected(name, columns, trains, ()), rtol=1e-9, atol=1e-9)
    assert np.mean(np.abs(last - first) > 0.1) > 0.5
    bound = np.abs(EACH[name].get("w_max", RULES[name].w_max))
    inside = (np.abs(last) > 0.0) & (np.abs(last) < bound)
    assert np.unique(last[inside]).size > 20


def check_pause(name: str, run: tuple[Found, Trains]) -> None:
    """Assert that traces and states followed what happened while nothing was learnt."""
    columns, trains = run[0][name], run[1]
    np.testing.assert_allclose(
        columns[-1], expected(name, columns, trains, PAUSE), rtol=1e-9, atol=1e-9
    )
    # and not what learning all the time would have made of them
    changed = np.abs(columns[-1] - expected(name, columns, trains, ()))
    assert np.mean(changed > 1e-3) > 0.5


@pytest.mark.validation
@pytest.mark.parametrize("name", RULES)
def test_without_learning_all_but_weights_continues(
    name: str, pausing: tuple[Found, Trains]
) -> None:
    check_pause(name, pausing)


@pytest.mark.ci
def test_states_of_synapses_go_on_without_learning(tmp_path: Path) -> None:
    names = ("presynaptic", "signal", "releasing")
    run = simulated(tmp_path / "run.zarr", names, PAUSE)
    for name in names:
        check_pause(name, run)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DescriptionError, match="field w_max: must be a number, since"):
        STDP(w_max=np.inf)
    with pytest.raises(DescriptionError, match="field modulator: must be empty"):
        ContrastiveSTDP(modulator="S")
    with pytest.raises(DescriptionError, match="nearest"):
        STDP(pairing="nearst")
