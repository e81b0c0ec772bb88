"""Random descriptions of networks: right ones, and ones with a few wrong values mixed in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from own_transmissions import FACILITATING

from distsnn.network import (
    STDP,
    AeifCondExp,
    AeifPscExp,
    AllToAll,
    ConnectionList,
    ConstantCurrent,
    DopamineSTDP,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    GammaInput,
    GifPscExp,
    HhCondExpTraub,
    IafCondAlpha,
    IafCondExp,
    IafPscAlpha,
    IafPscDelta,
    IafPscExp,
    IafPscExpShared,
    Izhikevich,
    LeakyIntegrator,
    Lognormal,
    Mat2PscExp,
    Network,
    Neuron,
    NoiseCurrent,
    Normal,
    NormaliseWeights,
    OneToOne,
    PairwiseBernoulli,
    Piecewise,
    PoissonInput,
    PoissonNeuron,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    SynapticScaling,
    TruncatedNormal,
    Tsodyks2,
    Uniform,
)

# Neurons whose constants are shared here: every set of own ones is compiled anew. A relay is not
# among them, as random weights make more spikes of one than it can relay.
OTHERS: tuple[type[Neuron], ...] = (
    *(AeifCondExp, AeifPscExp, GifPscExp, HhCondExpTraub, IafCondAlpha, IafCondExp, IafPscAlpha),
    *(Izhikevich, LeakyIntegrator, Mat2PscExp, PoissonNeuron),
)
# What no field takes, or only some do.
WRONG: tuple[Any, ...] = (
    *(float("nan"), float("inf"), -float("inf"), -1, 0, -0.0, 0.5, 1e-320, 1e308, -1e308),
    *(2**31, 2**62, 2**63, 2**64, 10**400, None, True, "", "x", "../x", b"x", 1j, object),
    *([], [1.0], [[1.0], [2.0]], [[1.0], [2.0, 3.0]], ["x"], [None], {}, {"V_m": 1.0}),
    *(np.nan, np.array(1.0), np.array([[1.0]]), np.array(["x"]), np.array([None]), np.float32(1)),
    *(Normal, Normal(0.0, 1.0), Normal(1e308, 1e308), Lognormal(0.0, 1.0), Exponential(1e308)),
    *(
        OneToOne(),
        OneToOne,
        IafPscExp(),
        IafPscExp,
        "E",
        "ex",
        "delta",
        "V_m",
        np.datetime64("NaT"),
    ),
)


@dataclass(frozen=True)
class Chooser:
    """Draws right values, and now and then a wrong one where that is wanted.

    Parameters
    ----------
    draw : callable
        Hypothesis's.
    wrong : bool
        Whether there are wrong values at all.
    """

    draw: Callable[[Any], Any]
    wrong: bool

    def one(self, *right: Any) -> Any:
        """Return one of the right values, or rarely a wrong one."""
        # The last of many, as examples are made simpler towards the first.
        if self.wrong and self.draw(st.integers(0, 39)) == 39:
            return self.draw(st.sampled_from(WRONG))
        return self.draw(st.sampled_from(right))

    def number(self, low: int, high: int) -> Any:
        """Return a whole number, or rarely a wrong value."""
        return self.one(self.draw(st.integers(low, high)))

    def array(self, shape: tuple[int, ...], low: float, high: float) -> Any:
        """Return an array of random numbers, or rarely a wrong value."""
        seed = self.draw(st.integers(0, 2**16))
        return self.one(np.random.default_rng(seed).uniform(low, high, shape))

    def times(self, dt: float, count: int) -> Any:
        """Return increasing times on the grid."""
        gaps = np.random.default_rng(self.draw(st.integers(0, 2**16))).integers(1, 6, count)
        return self.one(np.cumsum(gaps) * dt)


def network(choose: Chooser) -> Network:
    """Return a random network (DescriptionError where something in it is wrong)."""
    dt = choose.one(0.1, 0.1, 0.05, 0.125, 1.0)
    step = dt if isinstance(dt, float) and 0.01 < dt < 10.0 else 0.1
    populations = [
        _population(choose, f"P{i}", step) for i in range(choose.draw(st.integers(1, 3)))
    ]
    receiving = [one for one in populations if one.model.receptors]
    sending = [one for one in populations if one.model.can_spike]
    projections: list[Any] = []
    stimuli: list[Any] = []
    for _ in range(choose.draw(st.integers(0, 4)) if receiving and sending else 0):
        pre, post = _target(choose, sending), _target(choose, receiving)
        projections.append(_projection(choose, pre, post, step))
    for _ in range(choose.draw(st.integers(0, 3)) if receiving else 0):
        stimuli.append(_stimulus(choose, _target(choose, receiving), step))
    recordings: list[Any] | None = None
    if choose.draw(st.booleans()):
        recordings = [RecordSpikes(_target(choose, populations))]
        for one in receiving:
            variables = [choose.one(*one.model.states)]
            every = choose.one(None, step, 3 * step)
            name = choose.one(None, f"of {one.name}", "<b>", "später")
            reduce = choose.one(None, "sum", "mean")
            target = _target(choose, [one])
            recordings.append(RecordState(target, variables, every, name, reduce))
    return Network(populations, projections, stimuli, recordings, dt)


def _population(choose: Chooser, name: str, step: float) -> Population:
    size = choose.number(1, 200)
    n = size if isinstance(size, int) and 0 < size <= 200 else 5
    other = choose.draw(st.sampled_from(OTHERS))
    made: Any = choose.one(IafPscExp, IafPscExp, IafPscDelta, IafPscExpShared, SpikeSource, other)
    name = choose.one(name, f"{name} <script>", f"{name}:*?é")
    if made is SpikeSource:
        times = choose.times(step, 12)
        count = len(times) if isinstance(times, np.ndarray) and times.ndim else 1
        return Population(name, size, SpikeSource(times, choose.one(np.arange(count) % n)))
    if isinstance(made, type) and issubclass(made, Neuron):
        parameters = {}
        if made in OTHERS:
            given = ("rate", 900.0) if made is PoissonNeuron else ("I_e", -1e9)
            parameters[given[0]] = choose.one(0.0, 900.0, given[1])
        elif choose.draw(st.booleans()):
            parameters["t_ref"] = choose.one(0.0, step, 10 * step)
            parameters["tau_m"] = choose.one(10.0, 1e-3, 1e6, Uniform(5.0, 20.0))
            parameters["C_m"] = choose.one(250.0, choose.array((n,), 100.0, 300.0))
            parameters["I_e"] = choose.one(0.0, 1e3, -1e9, Normal(300.0, 100.0))
        made = made(**parameters)
    start = {"V_m": choose.one(-60.0, 0.0, Normal(-58.0, 5.0))}
    initial = choose.one(None, {} if isinstance(made, PoissonNeuron) else start)
    return Population(name, size, made, initial, choose.one("float32", "float64"))


def _target(choose: Chooser, populations: list[Population]) -> Any:
    one = choose.draw(st.sampled_from(populations))
    if one.size < 4 or choose.draw(st.booleans()):
        return choose.one(one, one.name)
    part = one[one.size // 4 : choose.number(one.size // 4 + 1, one.size)]
    return choose.one(part, one[::2], one[[0, 1, one.size - 1]])


def _size(target: Any) -> int:
    size: Any = getattr(target, "size", 5)
    return size if isinstance(size, int) and 0 < size <= 200 else 5


def _projection(choose: Chooser, pre: Any, post: Any, step: float) -> Projection:
    n_pre, n_post = _size(pre), _size(post)
    few = choose.number(0, 12)
    allowed = choose.one(True, False)
    m = 30
    edges = np.random.default_rng(choose.draw(st.integers(0, 99)))
    rule = choose.one(
        lambda: OneToOne(),
        lambda: AllToAll(allowed),
        lambda: FixedIndegree(few, allowed, choose.one(True, False)),
        lambda: FixedOutdegree(few, allowed, choose.one(True, False)),
        lambda: FixedTotalNumber(few, allowed),
        lambda: PairwiseBernoulli(choose.one(0.0, 0.1, 1.0), allowed),
        lambda: ConnectionList(
            choose.one(edges.integers(0, n_pre, m)), choose.one(edges.integers(0, n_post, m))
        ),
    )
    rule = rule() if callable(rule) and not isinstance(rule, type) else rule
    shape = (m,)
    if isinstance(rule, AllToAll):
        shape = (n_pre, n_post)
    elif isinstance(rule, OneToOne):
        shape = (n_pre,)
    given = isinstance(rule, AllToAll | OneToOne | ConnectionList) and choose.draw(st.booleans())
    if given:
        weight = choose.array(shape, -50.0, 50.0)
        delay = choose.one(np.rint(edges.uniform(1, 30, shape)) * step)
    else:
        weight = choose.one(
            *(0.0, 1.0, 300.0, -300.0, 1e-6, 1e9, Normal(40.0, 10.0), Uniform(-5.0, 5.0)),
            *(Lognormal(2.0, 1.0), Exponential(20.0), TruncatedNormal(1.0, 2.0, 0.0, 3.0)),
        )
        delay = choose.one(
            *(step, 2 * step, 15 * step, 300 * step, Normal(5 * step, 2 * step)),
            *(Uniform(step, 9 * step), Exponential(4 * step), Lognormal(0.0, 0.5)),
        )
    receptor = choose.one(None, None, None, "ex", "delta")
    bits = choose.one(None, None, None, 2, 30)
    name = choose.one(None, None, "with a name")
    own = choose.array((n_pre,), 0.0, 1.0)
    plastic = choose.one(
        lambda: None,
        lambda: None,
        lambda: Tsodyks2(
            U=choose.one(0.0, 0.3, own, Uniform(0.0, 1.0)), tau_fac=choose.one(0.0, 50)
        ),
        lambda: Tsodyks2(tau_rec=choose.one(1e-3, 1e6, Exponential(100.0))),
        lambda: FACILITATING(U=choose.one(0.0, own), tau_fac=choose.one(1e-3, 1e6)),
    )
    synapse = plastic() if callable(plastic) and not isinstance(plastic, type) else plastic
    return Projection(pre, post, rule, weight, delay, receptor, bits, name, synapse)


def _stimulus(choose: Chooser, target: Any, step: float) -> Any:
    n = _size(target)
    window = (choose.one(0.0, 5 * step), choose.one(float("inf"), 12 * step))
    times = choose.times(step, 8)
    count = len(times) if isinstance(times, np.ndarray) and times.ndim else 1
    made = choose.one(
        lambda: PoissonInput(
            target,
            choose.one(
                0.0,
                8000.0,
                1e6,
                choose.array((n,), 0.0, 9e3),
                Piecewise(times, np.ones(count)),
                Sine(choose.one(90.0, choose.array((n,), -9.0, 9e3)), 40.0, offset=9.0),
            ),
            choose.one(40.0, -3.0, 0.0, 1e9),
            None,
            *window,
        ),
        lambda: PoissonInput(
            target,
            choose.one(0.0, 8000.0, Sine(90.0, 40.0)),
            choose.one(40.0, -3.0),
            None,
            *window,
            correlation=choose.one(0.3, 1.0),
        ),
        lambda: GammaInput(
            target,
            choose.one(90.0, choose.array((n,), 0.0, 9e3), Sine(90.0, 40.0)),
            choose.one(40.0, -3.0),
            choose.one(1.0, 3.5),
            choose.one(1, 40),
            None,
            *window,
        ),
        lambda: SpikeInput(target, times, choose.one(np.arange(count) % n), choose.one(40.0)),
        lambda: ConstantCurrent(
            target, choose.one(400.0, -1e9, choose.array((n,), 0.0, 1e3)), *window
        ),
        lambda: StepCurrent(target, times, choose.array((count,), 0.0, 900.0)),
        lambda: SineCurrent(
            target,
            choose.one(90.0, choose.array((n,), -9.0, 9e3)),
            choose.one(0.0, 40.0, 250.0 / step, choose.array((n,), 0.0, 900.0)),
            choose.one(0.0, 1e9, choose.array((n,), -360.0, 360.0)),
            choose.one(0.0, 300.0),
            *window,
        ),
        lambda: NoiseCurrent(
            target, choose.one(300.0), choose.one(0.0, 200.0), choose.one(None, 2 * step), *window
        ),
    )
    return made() if callable(made) and not isinstance(made, type) else made


def small_network() -> Network:
    """Return a network that has something of everything, to be stored and corrupt."""
    e = Population("E", 150, IafPscExp(), {"V_m": Normal(-60.0, 4.0)})
    i = Population("I", 40, IafPscDelta(C_m=np.linspace(200.0, 300.0, 40)), precision="float64")
    times = np.arange(1, 200) * 0.7
    source = Population("S", 7, SpikeSource(times, np.arange(times.size) % 7))
    return Network(
        [e, i, source],
        [
            Projection(e, e, FixedIndegree(15), weight=Normal(60.0, 6.0), delay=Uniform(1.5, 4.0)),
            Projection(e, i, PairwiseBernoulli(0.1), weight=0.6, delay=2.5),
            Projection(
                *(i, e[10:60], FixedTotalNumber(500)), weight=-150.0, delay=1.5, synapse=Tsodyks2()
            ),
            Projection(source, e, ConnectionList([0, 1], [5, 7]), weight=200.0, delay=1.5),
            Projection(
                *(e, e, FixedIndegree(3), 30.0, Uniform(1.5, 4.0)),
                synapse=STDP(alpha=Uniform(0.5, 1.5), pairing="restricted"),
                name="learning",
            ),
            Projection(
                *(source, e, ConnectionList([0, 1], [5, 7]), [10.0, 20.0], 1.5),
                synapse=DopamineSTDP(A_plus=[0.1, 0.2], w_max=[15.0, 25.0]),
                name="given",
            ),
        ],
        [
            PoissonInput(e, 6000.0, 40.0, stop=1000.0),
            NoiseCurrent(e[10:60], 10.0, 30.0, interval=0.7),
            SpikeInput(i, [1.0, 2.0], [3, 4], 20.0),
        ],
        [
            RecordSpikes(e),
            RecordSpikes(i[5:20]),
            RecordState(e[3:9], ["V_m", "I_syn_in", "refractory"], interval=0.3),
            RecordState(i, "V_m", name="all of I"),
            RecordState(i, "V_m", name="mean of I", reduce="mean"),
            RecordWeights("learning", 0.7, ["weight", "due"], slice(3, 300, 2), e[10:]),
            RecordWeights("given", 2.0, "c", name="eligibility"),
        ],
        homeostasis=[
            NormaliseWeights(["learning"], 2.0, np.linspace(50.0, 99.0, 150), fraction=0.5),
            SynapticScaling(["given", "learning"], 3.0, 20.0, beta=0.1, tau=50.0),
        ],
    )
