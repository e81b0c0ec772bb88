"""NEST's generators and our stimuli: ten sets of parameters each, at dt 0.05, 0.1 and 1 ms."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P
from scipy import stats
from test_coming_from_nest import answer

from distsnn.coding import pulse_packets
from distsnn.io.reader import StoreReader
from distsnn.network import (
    GammaInput,
    IafPscExp,
    Network,
    ParrotNeuron,
    Piecewise,
    PoissonInput,
    Population,
    RateInput,
    RecordState,
    Sine,
    SineCurrent,
    SpikeInput,
)
from distsnn.simulation import Simulation

Given = dict[str, Any]
Ints = npt.NDArray[np.int64]
SETS = 10
# Relays of each set, and steps.
SIZES = {
    "ac": (1, 400),
    "sinusoidal_poisson": (2_000, 300),
    "inhomogeneous_poisson": (2_000, 300),
    "mip": (20, 20_000),
    "gamma_sup": (40, 20_000),
    "sinusoidal_gamma": (80, 20_000),
    "pulsepacket": (40, 400),
}
RUNS = [
    pytest.param(kind, dt, marks=[] if dt == 0.1 else [pytest.mark.ci])
    for kind in SIZES
    for dt in (0.1, 0.05, 1.0)
]


def drawn(kind: str, dt: float) -> list[Given]:
    """Return the parameters of NEST's generators; times and rates go with the step."""
    random = np.random.default_rng([len(kind), round(1.0 / dt)])

    def one(edge: bool) -> Given:
        frequency = 1e3 / dt / random.uniform(20.0, 200.0)
        phase = random.uniform(-360.0, 360.0)
        match kind:
            case "ac":
                start, stop = np.sort(random.choice(np.arange(1, 350), 2, replace=False)) * dt
                size = {"amplitude": random.uniform(-500.0, 500.0), "phase": phase}
                size |= {"frequency": 0.0 if edge else frequency, "start": start, "stop": stop}
                return size | {"offset": random.uniform(-100.0, 100.0)}
            case "sinusoidal_poisson":
                # an amplitude above the mean rate: the rate is 0 for a part of the period
                rate = random.uniform(0.02, 0.3) * 1e3 / dt
                size = {"amplitude": rate * (1.7 if edge else random.uniform(0.0, 1.0))}
                window = {"start": 10.0 * dt, "stop": 280.0 * dt}
                return {"rate": rate, "frequency": frequency, "phase": phase} | size | window
            case "inhomogeneous_poisson":
                times = np.sort(random.choice(np.arange(5, 290), 6, replace=False)) * dt
                rates = random.uniform(0.02, 0.3, 6) * 1e3 / dt
                rates[2] *= not edge
                return {"rate_times": times.round(9).tolist(), "rate_values": rates.tolist()}
            case "mip":
                copied = 1.0 if edge else random.uniform(0.05, 0.95)
                return {"rate": random.uniform(0.05, 0.5) * 1e3 / dt, "p_copy": copied}
            case "gamma_sup":
                shape, processes = (1, 1) if edge else random.integers(1, 5, 2).tolist()
                rate = random.uniform(0.001, 0.002) * 1e3 / dt
                return {"rate": rate, "gamma_shape": shape, "n_proc": processes}
            case "sinusoidal_gamma":
                rate = random.uniform(0.001, 0.002) * 1e3 / dt
                size = {"rate": rate, "amplitude": rate * (1.0 if edge else random.random())}
                # periods of whole steps
                size |= {"frequency": 1e3 / dt / (20 * random.integers(1, 9)), "phase": phase}
                return size | {"order": 1.0 if edge else random.uniform(1.0, 4.0)}
            case _:
                times = (np.array([100.0, 250.0]) * dt).tolist()
                spread = 0.0 if edge else random.uniform(0.5, 15.0) * dt
                size = {"pulse_times": times, "activity": int(random.integers(4, 40))}
                return size | {"sdev": spread}

    return [one(number == 0) for number in range(SETS)]


def stimulus(kind: str, given: Given, relays: Population, dt: float) -> RateInput | SpikeInput:
    """Return the stimulus that is NEST's generator behind a delay of one step."""
    if kind == "pulsepacket":
        # NEST's spikes take the step after the next, ours take the nearest
        times = np.array(given["pulse_times"]) + (1.5 - 1e-6) * dt
        packets = (given["activity"], given["sdev"])
        return pulse_packets(relays, times, *packets, 1.0, dt=dt, seed=4)
    if kind == "inhomogeneous_poisson":
        return PoissonInput(relays, Piecewise(given["rate_times"], given["rate_values"]), 1.0)
    rate = given["rate"]
    if kind == "mip":
        copied = given["p_copy"]
        return PoissonInput(relays, rate * copied, 1.0, correlation=copied)
    if kind == "gamma_sup":
        return GammaInput(relays, rate, 1.0, given["gamma_shape"], given["n_proc"])
    sine = Sine(given["amplitude"], given["frequency"], given["phase"], rate)
    if kind == "sinusoidal_gamma":
        return GammaInput(relays, sine, 1.0, given["order"], 1)
    return PoissonInput(relays, sine, 1.0, start=given["start"], stop=given["stop"])


def of_nest(python: str, kind: str, sets: list[Given], dt: float) -> list[tuple[Ints, Ints]]:
    """Return the steps of the spikes of NEST's relays, and the relays, of each set."""
    n, steps = SIZES[kind]
    text = f"""
import numpy as np
nest.resolution = {dt}
recorders = []
for given in json.loads('''{json.dumps(sets)}'''):
    # each target of a pulsepacket_generator receives the same spikes
    generator = nest.Create("{kind}_generator", {n if kind == "pulsepacket" else 1}, params=given)
    relays = nest.Create("parrot_neuron", {n})
    how = "{"one_to_one" if kind == "pulsepacket" else "all_to_all"}"
    nest.Connect(generator, relays, how, syn_spec={{"delay": {dt}}})
    recorders.append(nest.Create("spike_recorder"))
    nest.Connect(relays, recorders[-1])
nest.Simulate({dt * (steps + 4)})
found = []
for recorder in recorders:
    events = recorder.events
    found.append([np.rint(events["times"] / {dt}).astype(int).tolist(), events["senders"].tolist()])
print(json.dumps(found))
"""
    return [(np.array(when), np.array(who)) for when, who in answer(python, text)]


def of_ours(kind: str, sets: list[Given], dt: float) -> list[tuple[Ints, Ints]]:
    """Return the same of our stimuli."""
    n, steps = SIZES[kind]
    relays = [Population(f"P{number}", n, ParrotNeuron()) for number in range(len(sets))]
    stimuli = [stimulus(kind, *one, dt) for one in zip(sets, relays, strict=True)]
    with Simulation(Network(relays, [], stimuli, dt=dt), seed=3) as simulation:
        simulation.run(dt * (steps + 4))
        spikes = [simulation[one].spikes() for one in relays]
    return [(when.astype(np.int64), who.astype(np.int64)) for when, who in spikes]


def check_counts(tables: Iterable[npt.NDArray[np.int64]]) -> None:
    """Check that two rows of counts of independent events have the same means, in all tables."""
    squares, size = 0.0, 0
    for table in tables:
        total = table.sum(axis=0)
        often = total > 40
        # where one has no spike, the other has few at most
        assert total[(table == 0).any(axis=0)].max(initial=0) < 15
        squares += float((np.diff(table, axis=0)[0][often] ** 2 / total[often]).sum())
        size += int(often.sum())
    assert size >= 2 * SETS
    assert LEAST_P < stats.chi2(size).cdf(squares) < 1.0 - LEAST_P


def check_law(pairs: Iterable[tuple[Ints, Ints]]) -> None:
    """Check that two samples of integers have the same distribution, in all pairs."""
    p_values = []
    for one, other in pairs:
        both = np.concatenate([one, other])
        ends = np.unique(both)
        if ends.size > 60:
            ends = np.unique([*np.quantile(both, np.linspace(0.0, 1.0, 20)).round(), both.max()])
        bounds = np.concatenate([[-1.0], ends]) + 0.5
        table = np.array([np.histogram(each, bounds)[0] for each in (one, other)])
        often = table.sum(axis=0) >= 20
        table = np.column_stack([table[:, often], table[:, ~often].sum(axis=1)])
        table = table[:, table.sum(axis=0) > 0]
        assert table.shape[1] > 1 and min(one.size, other.size) > 300
        p_values.append(stats.chi2_contingency(table).pvalue)
    assert min(p_values) > LEAST_P / SETS


def intervals(spikes: tuple[Ints, Ints], first: int) -> Ints:
    """Return the intervals between spikes of the same relay, in steps, after a number of steps."""
    when, who = (values[spikes[0] > first] for values in spikes)
    order = np.lexsort((when, who))
    return np.diff(when[order])[np.diff(who[order]) == 0]


@pytest.mark.parametrize(("kind", "dt"), [one for one in RUNS if one.values[0] != "ac"])
def test_spikes_of_generators_have_the_law_of_nests(kind: str, dt: float, nest_python: str) -> None:
    n, steps = SIZES[kind]
    sets = drawn(kind, dt)
    pairs = [*zip(of_ours(kind, sets, dt), of_nest(nest_python, kind, sets, dt), strict=True)]
    counts = [
        [np.bincount(when, minlength=steps + 8)[:steps] for when, _ in pair] for pair in pairs
    ]
    if kind.endswith("_poisson"):
        check_counts(np.array(pair) for pair in counts)
    elif kind == "mip":
        check_law((ours[10:], theirs[10:]) for ours, theirs in counts)
    elif kind == "pulsepacket":
        numbers = [[when.size for when, _ in pair] for pair in pairs]
        assert numbers == [[n * given["activity"] * 2] * 2 for given in sets]
        # NEST's spikes are a delay later
        moved = [(ours[0], theirs[0] - 1) for ours, theirs in pairs]
        np.testing.assert_array_equal(*map(np.unique, moved[0]))
        check_law(moved[1:])
    else:
        # NEST's sinusoidal processes all have a spike at their start
        begin = 4_000
        check_law((intervals(ours, begin), intervals(theirs, begin)) for ours, theirs in pairs)
        if kind == "sinusoidal_gamma":
            periods = [round(1e3 / dt / given["frequency"]) for given in sets]
            check_counts(
                np.array(
                    [
                        np.bincount((when[when > begin] - late) % period // 5)
                        for late, (when, _) in enumerate(pair)
                    ]
                )
                for period, pair in zip(periods, pairs, strict=True)
            )


# At dt = 1 ms, NEST has more spikes of a varying rate, and more regular ones of a constant rate.
COARSE: dict[str, Given] = {
    "sinusoidal_gamma": {"rate": 100.0, "amplitude": 80.0, "frequency": 5.0, "order": 4.5},
    "gamma_sup": {"rate": 40.0, "gamma_shape": 6, "n_proc": 1},
}


@pytest.mark.parametrize("kind", COARSE)
def test_nests_gamma_spikes_have_another_law_where_they_are_frequent(
    kind: str, nest_python: str
) -> None:
    (n, steps), begin, given = SIZES[kind], 1_000, {"phase": 0.0} | COARSE[kind]
    (ours,) = of_ours(kind, [given], 1.0)
    nest_given = {name: value for name, value in given.items() if name in COARSE[kind]}
    (theirs,) = of_nest(nest_python, kind, [nest_given], 1.0)
    count, their_count = (
        np.count_nonzero((when > begin) & (when <= steps)) for when, _ in (ours, theirs)
    )
    expected = n * (steps - begin) * given["rate"] / 1000.0
    assert abs(count / expected - 1.0) < 0.01
    if kind == "sinusoidal_gamma":
        assert 1.03 < their_count / expected < 1.08
        return
    assert abs(their_count / expected - 1.0) < 0.01
    cv, their_cv = (
        between.std() / between.mean()
        for between in (intervals(spikes, begin) for spikes in (ours, theirs))
    )
    # the variance of times on a grid
    grid = (given["rate"] / 1000.0) ** 2 / 6.0
    assert abs(cv / np.sqrt(1.0 / 6.0 + grid) - 1.0) < 0.02
    # each of the six events that NEST waits for takes a geometric number of steps
    chance = 6 * given["rate"] / 1000.0
    assert abs(their_cv / np.sqrt((1.0 - chance) / 6.0) - 1.0) < 0.02


@pytest.mark.parametrize(("kind", "dt"), [one for one in RUNS if one.values[0] == "ac"])
def test_potentials_under_alternating_currents_are_nests(
    kind: str, dt: float, nest_python: str, tmp_path: Path
) -> None:
    steps, sets = SIZES[kind][1], drawn(kind, dt)
    theirs = answer(
        nest_python,
        f"""
nest.resolution = {dt}
generators = [
    nest.Create("ac_generator", params=given) for given in json.loads('''{json.dumps(sets)}''')
]
neurons = nest.Create("iaf_psc_exp", {SETS}, params={{"V_th": 1e9}})
meters = nest.Create("multimeter", {SETS}, params={{"record_from": ["V_m"], "interval": {dt}}})
nest.Connect(meters, neurons, "one_to_one")
for generator, neuron in zip(generators, neurons):
    nest.Connect(generator, neuron, syn_spec={{"delay": {dt}}})
nest.Simulate({dt * (steps + 10)})
print(json.dumps([list(one.events["V_m"]) for one in meters]))
""",
    )
    cells = Population("C", SETS, IafPscExp(V_th=1e9), {"V_m": -70.0}, precision="float64")
    stimuli = []
    for number, given in enumerate(sets):
        values = given["amplitude"], given["frequency"]
        phase = given["phase"] - 0.36 * given["frequency"] * dt
        window = {name: round(given[name] + dt, 9) for name in ("start", "stop")}
        current = SineCurrent(cells[number : number + 1], *values, phase, given["offset"], **window)
        stimuli.append(current)
    path = tmp_path / "run.zarr"
    network = Network([cells], [], stimuli, [RecordState(cells, "V_m", interval=dt)], dt=dt)
    with Simulation(network, out=path) as simulation:
        simulation.run(dt * steps)
    ours = StoreReader(path).state("C").variables["V_m"][:, :]
    expected = np.array(theirs)[:, : len(ours)].T
    assert np.ptp(expected, axis=0).min() > 0.01
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=1e-9)
