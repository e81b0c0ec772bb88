"""Small networks that between them use everything whose result must not depend on the ranks.

Each case is a function of a folder with the edge files that `write_edges` made. It returns a
network and for how long it runs, ms. All are active.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from distsnn.examples import brette_cuba, brunel, microcircuit
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    ConnectionRule,
    ConstantCurrent,
    Distribution,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    GammaInput,
    IafPscDelta,
    IafPscExp,
    IafPscExpShared,
    Lognormal,
    Network,
    NoiseCurrent,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Piecewise,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    TruncatedNormal,
    Uniform,
)

Case = Callable[[Path], tuple[Network, float]]
CASES: dict[str, Case] = {}

E_SIZE, I_SIZE = 300, 130  # 5 and 3 blocks, the last ones ragged
N_EDGES = 4000


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def write_edges(folder: Path) -> None:
    """Write the edge files that the cases read, the same edges as .npz and .zarr."""
    draw = np.random.default_rng(7)
    arrays = {
        "sources": draw.integers(0, E_SIZE, N_EDGES),
        "targets": draw.integers(0, E_SIZE, N_EDGES),
        "weights": draw.normal(25.0, 10.0, N_EDGES),
        "delays": draw.integers(3, 60, N_EDGES) * 0.1,
    }
    np.savez(folder / "edges.npz", **arrays)
    group = zarr.create_group(folder / "edges.zarr")
    for name, array in arrays.items():
        group.create_array(name, data=array, chunks=(999,))


def cells() -> tuple[Population, Population]:
    start = {"V_m": Normal(-60.0, 4.0)}
    e = Population("E", E_SIZE, IafPscExp(), start)
    i = Population("I", I_SIZE, IafPscExp(t_ref=1.0), start, precision="float64")
    return e, i


def driven(
    projections: Callable[[Population, Population], list[Projection]],
) -> tuple[Network, float]:
    """Return a network whose cells fire anyway, recorded with states."""
    e, i = cells()
    return Network(
        [e, i],
        projections(e, i),
        [PoissonInput(e, 9000.0, 45.0), PoissonInput(i, 9000.0, 45.0)],
        [
            RecordSpikes(e),
            RecordSpikes(i[20:120]),
            RecordState(e[60:140], ["V_m", "I_syn_ex"], interval=0.7),
            RecordState(i, ["V_m", "refractory"], interval=0.3),
            RecordState(e, ["V_m", "I_syn_ex"], name="mean", reduce="mean"),
            RecordState(i[1::2], ["V_m", "refractory"], interval=0.3, name="sum", reduce="sum"),
        ],
    ), 30.0


def by_rule(rule: ConnectionRule, name: str, square: bool = False) -> None:
    """Add a case with one rule, within and (unless it needs squares) between populations."""

    def made(e: Population, i: Population) -> list[Projection]:
        weight, delay = Normal(15.0, 4.0), Normal(1.5, 0.8)
        found = [
            Projection(e, e, rule, weight=weight, delay=delay),
            Projection(i, i, rule, weight=-40.0, delay=Uniform(0.3, 6.0)),
        ]
        if square:
            return [*found, Projection(e[10:140], i, rule, weight=weight, delay=delay)]
        return [
            *found,
            Projection(e[10:250], i[5:], rule, weight=weight, delay=0.9),
            Projection(i, e[:290], rule, weight=Normal(-40.0, 10.0), delay=delay),
        ]

    CASES[name] = lambda folder: driven(made)


by_rule(OneToOne(), "one_to_one", square=True)
by_rule(AllToAll(), "all_to_all")
by_rule(FixedIndegree(20), "fixed_indegree")
by_rule(FixedIndegree(90, multapses=False), "fixed_indegree_distinct")
by_rule(FixedOutdegree(20), "fixed_outdegree")
by_rule(FixedOutdegree(70, multapses=False), "fixed_outdegree_distinct")
by_rule(FixedTotalNumber(5000), "fixed_total_number")
by_rule(PairwiseBernoulli(0.1), "bernoulli")


@case
def without_autapses(folder: Path) -> tuple[Network, float]:
    rules: list[ConnectionRule] = [
        AllToAll(autapses=False),
        FixedIndegree(10, autapses=False),
        FixedIndegree(40, autapses=False, multapses=False),
        FixedOutdegree(10, autapses=False),
        FixedOutdegree(40, autapses=False, multapses=False),
        FixedTotalNumber(3000, autapses=False),
        PairwiseBernoulli(0.05, autapses=False),
    ]
    return driven(
        lambda e, i: [
            Projection(e[:200], e[:200], rule, weight=Normal(5.0, 2.0), delay=Normal(2.0, 1.0))
            for rule in rules
        ]
    )


@case
def weights_of_very_different_scales(folder: Path) -> tuple[Network, float]:
    # the coarse ones are multiples of so many quanta that their words' fields are cut short
    return driven(
        lambda e, i: [
            Projection(e, e, FixedIndegree(20), weight=Normal(0.002, 0.0005), delay=1.5),
            Projection(e, e, FixedTotalNumber(5000), weight=Normal(30.0, 8.0), delay=1.5),
        ]
    )


@case
def given_arrays(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(3)
    n = 1500
    edges = ConnectionList(draw.integers(0, E_SIZE, n), draw.integers(0, I_SIZE, n))

    def made(e: Population, i: Population) -> list[Projection]:
        return [
            Projection(
                e, i, edges, weight=draw.normal(30.0, 20.0, n), delay=draw.integers(1, 90, n) * 0.1
            ),
            Projection(e, i, edges, weight=Normal(10.0, 3.0), delay=Normal(2.0, 1.0)),
            Projection(
                i[:100],
                e[150:250],
                OneToOne(),
                weight=draw.normal(0.0, 100.0, 100),
                delay=draw.integers(2, 40, 100) * 0.1,
            ),
            Projection(
                i[:30],
                e,
                AllToAll(),
                weight=draw.normal(-20.0, 10.0, (30, E_SIZE)),
                delay=draw.integers(1, 50, (30, E_SIZE)) * 0.1,
            ),
        ]

    return driven(made)


def by_file(name: str) -> None:
    """Add a case with edges from a file, with and without its weights and delays."""

    def made(folder: Path) -> tuple[Network, float]:
        path = str(folder / name)
        whole = ConnectionFile(path, weights="weights", delays="delays")
        pairs = ConnectionFile(path)
        return driven(
            lambda e, i: [
                Projection(e, e, whole),
                Projection(e, e, pairs, weight=Normal(5.0, 1.0), delay=Exponential(3.0)),
            ]
        )

    CASES[name.replace(".", "_")] = made


by_file("edges.npz")
by_file("edges.zarr")


def by_distribution(weight: float | Distribution, delay: Distribution, name: str) -> None:
    """Add a case with one kind of distribution for weights and delays."""

    def made(e: Population, i: Population) -> list[Projection]:
        return [
            Projection(e, e, FixedIndegree(20), weight=weight, delay=delay),
            Projection(e, i, PairwiseBernoulli(0.1), weight=weight, delay=delay),
            Projection(i, e, FixedTotalNumber(4000), weight=-60.0, delay=1.0),
        ]

    CASES[name] = lambda folder: driven(made)


by_distribution(Normal(10.0, 10.0), Normal(3.0, 1.5), "normal")
by_distribution(
    TruncatedNormal(15.0, 10.0, 0.0), TruncatedNormal(1.0, 1.0, 0.2, 2.0), "truncated_normal"
)
by_distribution(Lognormal(2.0, 1.0), Lognormal(0.5, 0.7), "lognormal")
by_distribution(Uniform(-10.0, 30.0), Uniform(0.1, 9.0), "uniform")
by_distribution(Exponential(15.0), Exponential(1.0), "exponential")


@case
def weight_bits(folder: Path) -> tuple[Network, float]:
    return driven(
        lambda e, i: [
            Projection(e, e, FixedIndegree(20), weight=Normal(15.0, 3.0), delay=1.0, weight_bits=4),
            Projection(
                e, i, FixedIndegree(20), weight=Normal(15.0, 3.0), delay=1.0, weight_bits=26
            ),
            # weights of very different size onto one receptor, whose sums need 64 bits
            Projection(i, e, FixedIndegree(5), weight=-1e-4, delay=1.0, weight_bits=22),
            Projection(i, e, FixedIndegree(5), weight=-300.0, delay=1.0, weight_bits=24),
        ]
    )


@case
def heterogeneous_cells(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(11)
    n = 200
    model = IafPscExp(
        C_m=Normal(250.0, 20.0),
        tau_m=Uniform(8.0, 20.0),
        tau_syn_ex=draw.uniform(1.0, 4.0, n),
        t_ref=draw.integers(0, 40, n) * 0.1,
        V_th=TruncatedNormal(-55.0, 2.0, -60.0, -50.0),
        I_e=Exponential(200.0),
    )
    start = {"V_m": draw.uniform(-69.0, -56.0, n), "refractory": draw.integers(0, 5, n) * 1.0}
    a = Population("A", n, model, start)
    b = Population("B", n, IafPscExpShared(tau_syn=0.5), {"V_m": Normal(-60.0, 4.0)})
    c = Population("C", 70, IafPscDelta(tau_m=Normal(20.0, 2.0)), precision="float64")
    return Network(
        [a, b, c],
        [
            Projection(a, b, FixedIndegree(20), weight=Normal(80.0, 8.0), delay=Normal(1.0, 0.5)),
            Projection(b, c, FixedIndegree(20), weight=Normal(0.5, 0.5), delay=Normal(1.0, 0.5)),
            Projection(c, a, FixedIndegree(20), weight=Normal(-9.0, 4.0), delay=Uniform(0.1, 9.0)),
        ],
        [
            PoissonInput(a, 9000.0, 40.0),
            PoissonInput(b, 9000.0, 90.0),
            PoissonInput(c, 4000.0, 0.4),
        ],
        [*map(RecordSpikes, (a, b, c)), RecordState(a, "V_m"), RecordState(c, "V_m", interval=0.5)],
    ), 60.0


@case
def poisson(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(5)
    e, i = cells()
    times = np.array([5.0, 11.3, 30.0, 42.7])
    stimuli = [
        PoissonInput(e, 4000.0, 40.0),
        PoissonInput(e[30:170], 40.0, 200.0, start=3.3, stop=45.0),
        PoissonInput(e[:100], draw.uniform(0.0, 5000.0, 100), 25.0),
        PoissonInput(e, Piecewise(times, [5000.0, 0.0, 60000.0, 100.0]), 15.0),
        PoissonInput(
            i, Piecewise(times, draw.uniform(0.0, 9000.0, (4, I_SIZE))), 45.0, start=7.0, stop=50.0
        ),
        # hundreds in every step
        PoissonInput(i[10:90], 3e6, 0.1),
        PoissonInput(i, 6000.0, 45.0),
        PoissonInput(i, 3000.0, -20.0),
        PoissonInput(e[9:], Piecewise(times, [300.0, 0.0, 90.0, 600.0]), 60.0, correlation=0.2),
        PoissonInput(i[20:], Sine(900.0, 20.0), 20.0, stop=50.0, correlation=0.9),
        PoissonInput(e[20:], Sine(900.0, 83.0, 40.0, 600.0), 30.0, start=3.0, stop=50.0),
        PoissonInput(
            i[3:], Sine(draw.uniform(0.0, 900.0, I_SIZE - 3), 41.0, offset=300.0), 30.0, start=0.4
        ),
        GammaInput(e[11:], Piecewise(times, [90.0, 0.0, 9.0, 200.0]), 30.0, 2.5, 6, stop=50.0),
        GammaInput(i[5:], Sine(draw.uniform(0.0, 900.0, I_SIZE - 5), 41.0), 30.0, 4.0, start=0.4),
    ]
    recordings = [RecordSpikes(e), RecordSpikes(i), RecordState(i, ["V_m", "I_syn_ex"])]
    return Network([e, i], [], stimuli, recordings), 60.0


@case
def currents(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(6)
    e, i = cells()
    times = np.array([4.0, 17.7, 40.1])
    stimuli = [
        ConstantCurrent(e, 380.0),
        ConstantCurrent(e[40:200], draw.normal(50.0, 30.0, 160), start=10.0, stop=31.4),
        StepCurrent(e[100:], times, [40.0, -100.0, 60.0]),
        StepCurrent(i, times, draw.normal(450.0, 100.0, (3, I_SIZE))),
        SineCurrent(e[20:], 90.0, 37.5, 200.0, -5.0, start=3.0, stop=50.0),
        SineCurrent(i, 120.0, draw.uniform(5.0, 300.0, I_SIZE), draw.uniform(0.0, 360.0, I_SIZE)),
        NoiseCurrent(e, 20.0, 300.0),
        NoiseCurrent(e[7:250], draw.normal(0.0, 9.0, 243), draw.uniform(0.0, 200.0, 243), 0.7, 2.3),
        NoiseCurrent(i[3:], 0.0, 500.0, interval=1.3, start=0.2, stop=44.4),
    ]
    recordings = [RecordSpikes(e), RecordSpikes(i), RecordState(e, "V_m", interval=0.9)]
    return Network([e, i], [], stimuli, recordings), 60.0


@case
def given_spikes(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(8)
    e, i = cells()
    keys = np.unique(draw.integers(0, 600 * 90, 3000))
    source = Population("S", 90, SpikeSource(keys // 90 * 0.1 + 0.1, keys % 90), None)
    n = 20000
    inputs = [
        SpikeInput(
            target, draw.integers(1, 600, n) * 0.1, draw.integers(0, target.size, n), weights
        )
        for target, weights in (
            (e[20:], draw.normal(60.0, 30.0, n)),
            (i, 200.0),
        )
    ]
    return Network(
        [e, source, i],
        [
            Projection(
                source, e, FixedIndegree(10), weight=Normal(40.0, 9.0), delay=Normal(2.0, 1.0)
            ),
            Projection(source[10:], i, PairwiseBernoulli(0.2), weight=60.0, delay=0.4),
            Projection(e, i, FixedOutdegree(7), weight=20.0, delay=Uniform(0.5, 3.0)),
        ],
        inputs,
    ), 60.0


@case
def delta_synapses(folder: Path) -> tuple[Network, float]:
    e = Population("E", 320, IafPscDelta(tau_m=20.0, E_L=0.0, V_reset=2.0, V_th=20.0))
    i = Population("I", 80, IafPscDelta(E_L=0.0, V_reset=0.0, V_th=20.0), precision="float64")
    return Network(
        [e, i],
        [
            Projection(e, e, FixedIndegree(32), weight=Normal(0.2, 0.1), delay=1.5),
            Projection(e, i, FixedIndegree(32), weight=0.3, delay=Uniform(0.1, 2.0)),
            Projection(i, e, FixedIndegree(8), weight=-1.0, delay=0.2),
        ],
        [PoissonInput(e, 7000.0, 0.2), PoissonInput(i, 15000.0, 0.2)],
        [RecordSpikes(e), RecordSpikes(i), RecordState(i, "V_m")],
    ), 60.0


@case
def delays_of_thousands_of_steps(folder: Path) -> tuple[Network, float]:
    e, i = cells()
    return Network(
        [e, i],
        [
            Projection(
                e, e, FixedIndegree(20), weight=Normal(20.0, 4.0), delay=Uniform(50.0, 400.0)
            ),
            Projection(e, i, FixedIndegree(20), weight=20.0, delay=333.3),
            Projection(i, e, FixedIndegree(5), weight=-30.0, delay=Normal(200.0, 40.0)),
            # the shortest, so that epochs are long too
            Projection(i, i, FixedIndegree(5), weight=-30.0, delay=30.0),
        ],
        [PoissonInput(e, 9000.0, 40.0), PoissonInput(i, 9000.0, 40.0)],
    ), 500.0


@case
def delays_long_and_short(folder: Path) -> tuple[Network, float]:
    return driven(
        lambda e, i: [
            Projection(e, e, FixedIndegree(20), weight=Normal(15.0, 3.0), delay=Uniform(0.1, 40.0)),
            Projection(e, i, FixedIndegree(20), weight=15.0, delay=0.1),
            Projection(i, e, FixedIndegree(5), weight=Normal(-30.0, 9.0), delay=55.5),
        ]
    )


@case
def thousands_of_spikes_in_a_step(folder: Path) -> tuple[Network, float]:
    # All cells fire in the same few steps and are silent in between: the exchange's first message
    # is far too short for that.
    n = 6000
    e = Population("E", n, IafPscDelta(E_L=0.0, V_reset=0.0, V_th=10.0, tau_m=10.0, t_ref=0.5))
    loud = np.array([5.0, 5.1, 9.0, 20.0])
    times = np.repeat(loud, n)
    neurons = np.tile(np.arange(n), loud.size)
    keep = (neurons % 7 != 3) | (times > 8.0)
    return Network(
        [e],
        [Projection(e, e, FixedIndegree(10), weight=Normal(-0.3, 0.5), delay=Uniform(0.1, 3.0))],
        [SpikeInput(e, times[keep], neurons[keep], 11.0), PoissonInput(e, 2000.0, 0.7)],
    ), 30.0


@case
def fewer_blocks_than_ranks(folder: Path) -> tuple[Network, float]:
    start = {"V_m": Normal(-58.0, 2.0)}
    a = Population("A", 3, IafPscExp(I_e=400.0), start)
    b = Population("B", 70, IafPscExp(I_e=390.0), start)
    return Network(
        [a, b],
        [
            Projection(a, b, AllToAll(), weight=Normal(90.0, 9.0), delay=Normal(1.0, 0.3)),
            Projection(b, a, FixedIndegree(9), weight=Normal(60.0, 9.0), delay=0.5),
            Projection(b, b, FixedTotalNumber(500), weight=Normal(30.0, 9.0), delay=0.3),
        ],
        [],
        [RecordSpikes(a), RecordSpikes(b), RecordState(a, "V_m"), RecordState(b[66:], "V_m")],
    ), 80.0


@case
def one_neuron(folder: Path) -> tuple[Network, float]:
    only = Population("N", 1, IafPscExp(I_e=500.0))
    synapse = Projection(only, only, OneToOne(), weight=-100.0, delay=0.1)
    return Network(
        [only], [synapse], recordings=[RecordSpikes(only), RecordState(only, "V_m")]
    ), 50.0


@case
def no_synapses(folder: Path) -> tuple[Network, float]:
    e, i = cells()
    return Network(
        [e, i], [], [PoissonInput("E", 9000.0, 45.0), PoissonInput("I", 9e3, 45.0)]
    ), 40.0


@case
def cortical_microcircuit(folder: Path) -> tuple[Network, float]:
    return microcircuit.build(0.04), 50.0


@case
def cortical_microcircuit_in_double_precision(folder: Path) -> tuple[Network, float]:
    return microcircuit.build(0.03, precision="float64"), 120.0


@case
def brunels_network(folder: Path) -> tuple[Network, float]:
    return brunel.build(order=120), 40.0


@case
def brettes_network(folder: Path) -> tuple[Network, float]:
    return brette_cuba.build(1600), 50.0
