"""Kernels' benchmarks: ``python -m pytest benchmarks/test_kernels.py`` (extra ``bench``).

Each tells the time of one element (neuron and step, synaptic event, synapse, value) on one core.
"""

from collections.abc import Callable

import numpy as np
import pytest
from kernel_setup import SEED, Learning, Spikes, layout_of, poisson_loops, update_loops
from own_models import ADEX_ROSENBROCK, IZHIKEVICH, LIF

from distsnn import jit
from distsnn.counter_rng import GOLDEN, splitmix64
from distsnn.engine import snapshot, wiring
from distsnn.engine.rank_engine import RankEngine
from distsnn.kernels import functions, sampling
from distsnn.network import (
    STDP,
    AllToAll,
    Bernoulli,
    ConnectionRule,
    DopamineSTDP,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExpShared,
    JonkeSTDP,
    Network,
    Neuron,
    Normal,
    PairwiseBernoulli,
    PlasticSynapse,
    Population,
    Projection,
    QuantalSTP,
    STDPPowerLaw,
    TripletSTDP,
    Tsodyks,
    VogelsSTDP,
    aeif_cond_alpha_multisynapse,
    get_neuron_model,
    iaf_psc_exp_multisynapse,
)
from distsnn.network.populations import Precision
from distsnn.network.quanta import choose_quanta
from distsnn.network.registry import model_names

pytest.importorskip("pytest_benchmark", reason="needs pip install 'distsnn[bench]'")

NEURONS = 4096  # their state stays in the second-level cache
LOOPS = 100
STEPS = 1000  # of networks that learn
VALUES = 100_000

Value = float | Normal
# Models written as equations, after the built-in ones that they are.
OWN = {
    "iaf_psc_exp": LIF,
    "aeif_cond_exp": ADEX_ROSENBROCK,
    "izhikevich": IZHIKEVICH,
}
# Models with as many receptors as are asked for.
RECEPTORS: dict[str, Neuron] = {
    "aeif_cond_alpha_multisynapse": aeif_cond_alpha_multisynapse(
        [0.0, -85.0, 0.0], [0.2, 2.0, 20.0], I_e=700.0
    ),
    "iaf_psc_exp_multisynapse": iaf_psc_exp_multisynapse([2.0, 5.0, 10.0], I_e=380.0),
}
# For some 10 spikes/s without input; by other means than 380 pA for some.
DRIVEN: dict[str, dict[str, float]] = {
    "aeif_cond_alpha": {"I_e": 700.0},
    "aeif_psc_alpha": {"I_e": 700.0},
    "amat2_psc_exp": {"I_e": 108.0},
    "gif_cond_exp": {"I_e": 155.0},
    "hh_psc_alpha": {"I_e": 650.0},
    "iaf_bw_2001": {"E_L": -54.95},
    "iaf_cond_alpha_mc": {"I_e_s": 176.0},
    "aeif_cond_exp": {"I_e": 700.0},
    "aeif_psc_delta_clopath": {"I_e": 700.0},
    "aeif_psc_exp": {"I_e": 700.0},
    "hh_cond_exp_traub": {"I_e": 100.0},
    "iaf_cond_alpha": {"I_e": 270.0},
    "iaf_cond_exp": {"I_e": 270.0},
    "izhikevich": {"I_e": 5.0},
    "parrot_neuron": {},
    "poisson_neuron": {"rate": 10.0},
    "pp_cond_exp_mc_urbanczik": {"I_e_s": 4000.0},
}
MODELS = [name for name in model_names() if name != "spike_source"]

Measure = Callable[[Callable[[], object], int, str], None]


def time_update(measure: Measure, neuron: Neuron, precision: Precision) -> None:
    """Measure neurons that fire at some 10 spikes/s, without input."""
    start = {"V_m": Normal(-60.0, 3.0)} if "V_m" in neuron.states else {}
    loops = update_loops(Population("N", NEURONS, neuron, start, precision))
    measure(lambda: loops.run(LOOPS), NEURONS * LOOPS, "neuron and step")


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", [*MODELS, *(f"own {name}" for name in OWN)])
def test_update(measure: Measure, model: str, precision: Precision) -> None:
    """All models; those written as equations beside the built-in ones that they are."""
    name = model.removeprefix("own ")
    made = get_neuron_model(name) if name == model else OWN[name]
    time_update(measure, made(**DRIVEN.get(name, {"I_e": 380.0})), precision)


@pytest.mark.parametrize("model", RECEPTORS)
def test_update_receptors(measure: Measure, model: str) -> None:
    """Three receptors."""
    time_update(measure, RECEPTORS[model], "float32")


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", ["iaf_psc_delta", "iaf_psc_exp", "iaf_psc_exp_shared"])
def test_update_own_constants(measure: Measure, model: str, precision: Precision) -> None:
    """A membrane time constant for each neuron."""
    tau_m = np.linspace(9.0, 11.0, NEURONS)
    time_update(measure, get_neuron_model(model)(tau_m=tau_m, I_e=380.0), precision)


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
    "synapse",
    [
        STDPPowerLaw(),
        STDPPowerLaw(precision="float64"),
        STDP(mu_plus=0.0, mu_minus=0.0),
        TripletSTDP(),
        VogelsSTDP(),
        DopamineSTDP(),
    ],
    ids=lambda one: f"{type(one).__name__}-{one.precision}",
)
def test_learn(measure: Measure, synapse: PlasticSynapse) -> None:
    """Long rows, of targets that spike about as often as sources; updates are 2 % of it."""
    learning = Learning(synapse)
    events: list[int] = []
    measure(lambda: events.append(learning.run(STEPS)), learning.run(STEPS), "event")
    # rounds have about as many events as the one that was counted
    assert min(events) > 0.5 * max(events)


@pytest.mark.parametrize(
    "synapse",
    [Bernoulli(), QuantalSTP(), Tsodyks(), JonkeSTDP()],
    ids=lambda one: type(one).__name__,
)
def test_transmit(measure: Measure, synapse: PlasticSynapse) -> None:
    """Models of single synapses, in shorter rows."""
    learning = Learning(synapse, neurons=1500)
    measure(lambda: learning.run(STEPS), learning.run(STEPS), "event")


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
def test_wiring(measure: Measure, rule: ConnectionRule) -> None:
    """A million synapses (all-to-all: 16 million) with drawn weights and delays."""
    population = Population("N", 4000, IafPscExpShared())
    one = Projection(
        population, population, rule, weight=Normal(87.8, 8.78), delay=Normal(1.5, 0.75)
    )
    network = Network([population], [one])
    layout, scales = layout_of(network), choose_quanta(network)
    synapses = wiring.build_local_synapses(layout, scales, SEED).synapses
    measure(lambda: wiring.build_local_synapses(layout, scales, SEED), synapses, "synapse")


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
    layout, scales = layout_of(network), choose_quanta(network)
    stored = storage in ("explicit", "procedural")
    options = {"storage": storage} if stored else {"delivery": storage}
    engine = RankEngine(
        layout, scales, wiring.build_local_synapses(layout, scales, SEED, **options), SEED
    )
    measure(lambda: snapshot.synapse_digests(engine), engine.synapses.synapses, "synapse")


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
        out[i] = sampling.normal(splitmix64(np.uint64(i) * GOLDEN))


@pytest.mark.parametrize("kernel", [_exp, _log, _normal], ids=["exp", "log", "normal"])
def test_function(measure: Measure, kernel: Callable[..., None]) -> None:
    """Functions of float64, and normal numbers from a hashed counter."""
    x, out = np.linspace(0.1, 20.0, VALUES), np.empty(VALUES)
    measure(lambda: kernel(x, out), VALUES, "value")
