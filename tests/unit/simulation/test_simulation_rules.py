"""Every rule in a simulation: its weights are those of its events, taken one by one.

Compiling ten modules takes a minute: most of this is validation.
"""

import dataclasses
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rule_events import weights

from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    BCM,
    STDP,
    ContrastiveSTDP,
    DopamineSTDP,
    IafPscExp,
    ModulatedSynapse,
    Network,
    Oja,
    PairwiseBernoulli,
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
}
SIGNALS = {"signal": [(0, 0.02), (MIDDLE, -0.01)], "contrastive": [(0, 1.0), (MIDDLE, -1.0)]}
assert all(isinstance(RULES[name], ModulatedSynapse) for name in SIGNALS)


def network(precision: str) -> Network:
    return Network(
        [SOURCES, TARGETS],
        [
            Projection(
                *(SOURCES, TARGETS, PairwiseBernoulli(0.05)),
                weight=Uniform(*((-80.0, -20.0) if rule.sign < 0 else (20.0, 80.0))),
                delay=Uniform(1.0, 4.0),
                synapse=dataclasses.replace(rule, precision=precision),
                name=name,
            )
            for name, rule in RULES.items()
        ],
        [PoissonInput(TARGETS, 9000.0, 70.0)],
        [RecordSpikes(SOURCES), RecordSpikes(TARGETS)],
    )


Found = dict[str, tuple[npt.NDArray[np.float64], ...]]


def simulated(simulation: Simulation) -> Found:
    """Return each projection's sources, targets, delays, and weights at the start and the end."""
    first = {name: simulation.weights(name).values for name in RULES}
    for at in (0, MIDDLE):
        for name, levels in SIGNALS.items():
            simulation.signal(name, dict(levels)[at])
        simulation.run(((END if at else MIDDLE) - at) * DT)
    known = {name: simulation.weights(name) for name in RULES}
    return {
        name: (one.sources, one.targets, one.delays, first[name], one.values)
        for name, one in known.items()
    }


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, list[npt.NDArray[np.int64]]]:
    """Return what a run in float64 found, and the steps of each neuron's spikes."""
    path: Path = tmp_path_factory.mktemp("rules") / "run.zarr"
    with Simulation(network("float64"), out=path) as simulation:
        found = simulated(simulation)
    step, gid = StoreReader(path).spikes(0, END)
    return found, [step[gid == neuron].astype(np.int64) for neuron in range(170)]


@pytest.mark.validation
@pytest.mark.parametrize("name", RULES)
def test_weights_are_those_of_single_events(
    name: str, double: tuple[Found, list[npt.NDArray[np.int64]]]
) -> None:
    (columns, trains), rule = (double[0][name], double[1]), RULES[name]
    module = import_module(rule.kernel_module)
    given = {one.name: getattr(rule, one.name) for one in dataclasses.fields(rule)}
    axonal = rule.axonal_steps(DT)
    modulator = np.concatenate(trains[:20]) + 8 if name == "dopamine" else ()
    expected = [
        rule.sign
        * weights(
            module,
            given | {"w_max": abs(rule.w_max)},
            *(trains[source], trains[target]),
            weight=abs(first),
            dendritic=round(delay / DT) - axonal,
            axonal=axonal,
            modulators=modulator,
            signal=SIGNALS.get(name, ()),
            until=END,
        )[-1]
        for source, target, delay, first, _ in zip(*columns, strict=True)
    ]
    first, last = columns[3:]
    np.testing.assert_allclose(last, expected, rtol=1e-9, atol=1e-9)
    assert np.mean(np.abs(last - first) > 0.1) > 0.5
    inside = (np.abs(last) > 0.0) & (np.abs(last) < abs(rule.w_max))
    assert np.unique(last[inside]).size > 20


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DescriptionError, match="field w_max: must be a number, since"):
        STDP(w_max=np.inf)
    with pytest.raises(DescriptionError, match="field modulator: must be empty"):
        ContrastiveSTDP(modulator="S")
    with pytest.raises(DescriptionError, match="nearest"):
        STDP(pairing="nearst")
