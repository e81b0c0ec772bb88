"""Kernels' benchmarks: ``python -m pytest benchmarks/test_kernels.py`` (extra ``bench``).

Each tells the time of one element (neuron and step, synaptic event, synapse, value) on one core.
"""

from collections.abc import Callable

import numpy as np
import pytest
from kernel_setup import SEED, Spikes, layout_of, poisson_loops, update_loops

from distsnn import jit
from distsnn.counter_rng import GOLDEN, mix
from distsnn.engine import snapshot, wiring
from distsnn.engine.rank_engine import RankEngine
from distsnn.kernels import functions, sampling
from distsnn.network import (
    AllToAll,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    IafPscExpShared,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    PairwiseBernoulli,
    Population,
    Projection,
    Rule,
)
from distsnn.network.populations import Precision
from distsnn.network.quanta import quanta

pytest.importorskip("pytest_benchmark", reason="needs pip install 'distsnn[bench]'")

NEURONS = 4096  # their state stays in the second-level cache
LOOPS = 100
VALUES = 100_000

Value = float | Normal
# The equations of IafPscExp.
OWN_LIF = NeuronModel(
    """
    dV_m/dt = -(V_m - E_L)/tau_m + (I_ex + I_in + I_e + I_stim)/C_m : mV
    dI_ex/dt = -I_ex/tau_syn : pA
    dI_in/dt = -I_in/tau_syn : pA
    """,
    threshold="V_m >= V_th",
    reset="V_m = V_reset",
    refractory="t_ref",
    receptors={"ex": "I_ex", "in": "I_in"},
    parameters={
        "C_m": (250.0, "pF"),
        "tau_m": (10.0, "ms"),
        "tau_syn": (2.0, "ms"),
        "t_ref": (2.0, "ms"),
        "E_L": (-70.0, "mV"),
        "V_reset": (-70.0, "mV"),
        "V_th": (-55.0, "mV"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    name="OwnLif",
).neuron

Measure = Callable[[Callable[[], object], int, str], None]


@pytest.mark.parametrize("constants", ["shared", "own"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "model", [IafPscExpShared, IafPscExp, IafPscDelta, OWN_LIF], ids=lambda model: model.__name__
)
def test_update(
    measure: Measure, model: type[Neuron], precision: Precision, constants: str
) -> None:
    """Neurons that fire at some 10 spikes/s, without input."""
    tau_m = 10.0 if constants == "shared" else np.linspace(9.0, 11.0, NEURONS)
    neuron = model(tau_m=tau_m, I_e=380.0)
    initial = {"V_m": Normal(-60.0, 3.0)}
    loops = update_loops(Population("N", NEURONS, neuron, initial, precision))
    measure(lambda: loops.run(LOOPS), NEURONS * LOOPS, "neuron and step")


@pytest.mark.parametrize("mean", [0.16, 1.6, 16.0])
def test_poisson_common(measure: Measure, mean: float) -> None:
    """One mean count for all neurons: by comparing below 3, by searching above."""
    loops = poisson_loops(NEURONS, mean)
    measure(lambda: loops.run(LOOPS), NEURONS * LOOPS, "neuron and step")


@pytest.mark.parametrize("mean", [1.6, 16.0])
def test_poisson_own(measure: Measure, mean: float) -> None:
    """A mean count for each neuron: by inversion below 10, by rejection above."""
    loops = poisson_loops(NEURONS, np.linspace(0.9 * mean, 1.1 * mean, NEURONS))
    measure(lambda: loops.run(LOOPS), NEURONS * LOOPS, "neuron and step")


@pytest.mark.parametrize("delivery", ["push", "pull"])
@pytest.mark.parametrize(
    ("targets", "outdegree", "sources"),
    [(3_800, 200, 8_000), (38_000, 2_000, 4_000)],
    ids=["short_runs", "long_runs"],
)
def test_deliver(
    measure: Measure, delivery: str, targets: int, outdegree: int, sources: int
) -> None:
    """Rows as of the microcircuit at scale 0.1 and 1 on two ranks: some 7 and 60 to a run."""
    spikes = Spikes(delivery, targets=targets, outdegree=outdegree, sources=sources)
    measure(spikes.deliver, spikes.deliver(), "event")


@pytest.mark.parametrize(
    "rule",
    [
        FixedTotalNumber(1_000_000),
        FixedIndegree(250),
        FixedOutdegree(250),
        PairwiseBernoulli(0.0625),
        AllToAll(),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_wiring(measure: Measure, rule: Rule) -> None:
    """A million synapses (all-to-all: 16 million) with drawn weights and delays."""
    population = Population("N", 4000, IafPscExpShared())
    one = Projection(
        population, population, rule, weight=Normal(87.8, 8.78), delay=Normal(1.5, 0.75)
    )
    network = Network([population], [one])
    layout, scales = layout_of(network), quanta(network)
    synapses = wiring.build(layout, scales, SEED).synapses
    measure(lambda: wiring.build(layout, scales, SEED), synapses, "synapse")


@pytest.mark.parametrize("weight", [87.8, Normal(87.8, 8.78)], ids=["constant", "drawn"])
@pytest.mark.parametrize("delay", [1.5, Normal(1.5, 0.75)], ids=["one_delay", "delays"])
@pytest.mark.parametrize("storage", ["pull", "push", "explicit", "procedural"])
def test_digest(measure: Measure, weight: Value, delay: Value, storage: str) -> None:
    """Eight million synapses of the microcircuit's run length; procedural ones are drawn too."""
    pre, post = (
        Population("pre", 4000, IafPscExpShared()),
        Population("post", 38_000, IafPscExpShared()),
    )
    network = Network(
        [pre, post], [Projection(pre, post, FixedOutdegree(2000), weight=weight, delay=delay)]
    )
    layout, scales = layout_of(network), quanta(network)
    stored = storage in ("explicit", "procedural")
    options = {"storage": storage} if stored else {"delivery": storage}
    engine = RankEngine(layout, scales, wiring.build(layout, scales, SEED, **options), SEED)
    measure(lambda: snapshot.wiring(engine), engine.wiring.synapses, "synapse")


@jit.kernel
def _exp(x, out):
    for i in range(x.size):
        out[i] = functions.exp(x[i])


@jit.kernel
def _log(x, out):
    for i in range(x.size):
        out[i] = functions.log(x[i])


@jit.kernel
def _normal(x, out):
    for i in range(x.size):
        out[i] = sampling.normal(mix(np.uint64(i) * GOLDEN))


@pytest.mark.parametrize("kernel", [_exp, _log, _normal], ids=["exp", "log", "normal"])
def test_function(measure: Measure, kernel: Callable[..., None]) -> None:
    """Functions of float64, and normal numbers from a hashed counter."""
    x, out = np.linspace(0.1, 20.0, VALUES), np.empty(VALUES)
    measure(lambda: kernel(x, out), VALUES, "value")
