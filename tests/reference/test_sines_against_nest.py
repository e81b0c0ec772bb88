"""Stimuli beside NEST: potentials under sines, and random spikes of its generators."""

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
    RecordState,
    Sine,
    SineCurrent,
)
from distsnn.simulation import Simulation

# dt, ms, and the number of a set of random parameters
RUNS = [
    (0.1, 0),
    *(
        pytest.param(dt, number, marks=pytest.mark.ci)
        for dt, numbers in ((0.1, (1, 2, 3)), (0.05, (4, 5)), (1.0, (6, 7)))
        for number in numbers
    ),
]


def steps_of(python: str, dt: float, creation: str, n: int, delay: float, end: int) -> np.ndarray:
    """Return steps and parrots of the spikes that NEST's generator, or one for each, sends them."""
    found = answer(
        python,
        f"""
nest.resolution = {dt}
generator = {creation}
parrots = nest.Create("parrot_neuron", {n})
rule = "one_to_one" if len(generator) > 1 else "all_to_all"
nest.Connect(generator, parrots, rule, syn_spec={{"delay": {delay}}})
recorder = nest.Create("spike_recorder", params={{"time_in_steps": True}})
nest.Connect(parrots, recorder)
nest.Simulate({dt * end})
events = recorder.events
first = parrots[0].global_id
print(json.dumps([events["times"].tolist(), (events["senders"] - first).tolist()]))
""",
    )
    return np.array(found, np.int64)


def spikes_of(stimulus: Any, parrots: Population, dt: float, end: int) -> npt.NDArray[np.int64]:
    """Return steps and neurons of the spikes that a stimulus of distsnn gives."""
    with Simulation(Network([parrots], [], [stimulus], dt=dt), seed=3) as simulation:
        simulation.run(dt * end)
        return np.array(simulation[parrots].spikes(), np.int64)


def p_of_one_law(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the p of a chi-squared test of two samples of integers (>= 0), rare ones together."""
    most = max(ours.max(), theirs.max()) + 1
    table = np.array([np.bincount(one, minlength=most) for one in (ours, theirs)])
    often = table.sum(axis=0) >= 20
    assert often.sum() > 4
    rest = table[:, ~often].sum(axis=1)
    table = np.column_stack([table[:, often], rest] if rest.sum() else [table[:, often]])
    return float(stats.chi2_contingency(table).pvalue)


@pytest.mark.parametrize("late", [1, 7])
@pytest.mark.parametrize("dt", [0.1, 0.05, 1.0])
def test_potential_under_alternating_currents(
    dt: float, late: int, nest_python: str, tmp_path: Path
) -> None:
    random, n, delay = np.random.default_rng(late), 10, late * dt
    given = {
        "amplitude": [300.0, -120.0, 250.0, *random.uniform(-400.0, 400.0, n - 3)],
        "frequency": [8.0, 41.7, 250.0 / dt, *10.0 ** random.uniform(0.0, 2.5, n - 3)],
        "phase": [0.0, 200.0, -77.0, *random.uniform(-400.0, 400.0, n - 3)],
        "offset": [0.0, 90.0, -30.0, *random.uniform(-100.0, 100.0, n - 3)],
    }
    start, stop, end = 30 * dt, 8000 * dt, 10_000 * dt
    theirs = answer(
        nest_python,
        f"""
nest.resolution = {dt}
given = {{name: [float(one) for one in values] for name, values in {plain(given)}.items()}}
given |= {{"start": {start!r}, "stop": {stop!r}}}
generators = nest.Create("ac_generator", {n}, params=given)
neurons = nest.Create("iaf_psc_exp", {n}, params={{"V_th": 1e9}})
nest.Connect(generators, neurons, "one_to_one", syn_spec={{"delay": {delay!r}}})
meters = nest.Create("multimeter", {n}, params={{"record_from": ["V_m"], "interval": {dt}}})
nest.Connect(meters, neurons, "one_to_one")
nest.Simulate({end + 10 * dt!r})
print(json.dumps([list(one.events["V_m"]) for one in meters]))
""",
    )
    cells = Population("C", n, IafPscExp(V_th=1e9), {"V_m": -70.0}, precision="float64")
    amplitude, frequency, phase, offset = (np.array(one) for one in given.values())
    window = {"start": start + delay, "stop": stop + delay}
    phase = phase - 0.36 * frequency * delay
    current = SineCurrent(cells, amplitude, frequency, phase, offset, **window)
    path = tmp_path / "run.zarr"
    records = [RecordState(cells, "V_m", interval=dt)]
    with Simulation(Network([cells], [], [current], records, dt=dt), out=path) as simulation:
        simulation.run(end)
    ours = StoreReader(path).state("C").variables["V_m"][:, :]
    expected = np.array(theirs)[:, : len(ours)].T
    assert np.ptp(expected, axis=0).min() > 0.1
    print(f"ac_generator, dt {dt}, delay {delay}: V_m {np.abs(ours - expected).max():.1e}")
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=1e-9)


def plain(given: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as Python's numbers, which have no type in a program's text."""
    return {name: np.asarray(values).tolist() for name, values in given.items()}


def rates(kind: str, dt: float, number: int) -> dict[str, Any]:
    """Return parameters of NEST's generator of a varying rate, of 200 steps."""
    random = np.random.default_rng(number)
    if kind == "sinusoidal":
        rate = random.uniform(200.0, 500.0)
        return {
            "rate": rate,
            # mostly clipped at 0
            "amplitude": rate * random.uniform(0.5, 2.0),
            "frequency": random.uniform(5.0, 20.0) / dt,
            "phase": random.uniform(-180.0, 180.0),
            "start": 20 * dt,
            "stop": 180 * dt,
        }
    times = np.sort(random.choice(np.arange(2, 180), 4, replace=False))
    return {"rate_times": np.round(times * dt, 9), "rate_values": random.uniform(0.0, 900.0, 4)}


@pytest.mark.parametrize("kind", ["sinusoidal", "inhomogeneous"])
@pytest.mark.parametrize(("dt", "number"), RUNS)
@pytest.mark.parametrize("late", [0, 6])
def test_rates_of_poisson_spikes_in_each_step(
    kind: str, dt: float, number: int, late: int, nest_python: str
) -> None:
    given = rates(kind, dt, number)
    parrots = Population("P", round(1000 / dt), ParrotNeuron())
    creation = f'nest.Create("{kind}_poisson_generator", params={plain(given)})'
    theirs, _ = steps_of(nest_python, dt, creation, parrots.size, (late + 1) * dt, 210)
    later = late * dt
    if kind == "sinusoidal":
        phase = given["phase"] - 0.36 * given["frequency"] * later
        rate = Sine(given["amplitude"], given["frequency"], phase, given["rate"])
        window = {"start": given["start"] + later, "stop": given["stop"] + later}
        stimulus = PoissonInput(parrots, rate, 1.0, **window)
    else:
        times = np.round(given["rate_times"] + later, 9)
        stimulus = PoissonInput(parrots, Piecewise(times, given["rate_values"]), 1.0)
    found, _ = spikes_of(stimulus, parrots, dt, 200)
    ours, expected = np.bincount(found, minlength=201), np.bincount(theirs, minlength=201)[:201]
    assert ours.shape == expected.shape and expected.sum() > 10_000
    both = ours + expected
    often = both > 40
    # where one has no spike, the other has few at most
    assert both[(ours == 0) != (expected == 0)].max(initial=0) < 15
    z = (ours - expected)[often] / np.sqrt(both[often])
    print(f"{kind}, dt {dt}, set {number}: {z.size} steps, mean square {np.mean(z**2):.2f}")
    assert np.abs(z).max() < 4.5
    assert LEAST_P < stats.chi2(z.size).cdf(np.sum(z**2)) < 1.0 - LEAST_P


@pytest.mark.parametrize(("dt", "number"), RUNS)
def test_sums_of_correlated_spikes_have_the_law_of_nests(
    dt: float, number: int, nest_python: str
) -> None:
    random, steps = np.random.default_rng(number), 20_000
    rate, correlation = random.uniform(150.0, 400.0), random.uniform(0.2, 0.6)
    parrots = Population("P", 20, ParrotNeuron())
    params = {"rate": rate / correlation, "p_copy": correlation}
    creation = f'nest.Create("mip_generator", params={params})'
    theirs, _ = steps_of(nest_python, dt, creation, parrots.size, dt, steps + 4)
    found, _ = spikes_of(
        PoissonInput(parrots, rate, 1.0, correlation=correlation), parrots, dt, steps
    )
    # NEST's first come two delays and a step late
    p = p_of_one_law(
        np.bincount(found, minlength=steps + 1)[1:],
        np.bincount(theirs, minlength=steps + 4)[3 : steps + 3],
    )
    print(f"mip, dt {dt}, set {number}: p {p:.2g}")
    assert p > LEAST_P


@pytest.mark.parametrize("kind", ["gamma_sup", "sinusoidal_gamma"])
@pytest.mark.parametrize(("dt", "number"), RUNS)
def test_intervals_and_phases_of_gamma_spikes(
    kind: str, dt: float, number: int, nest_python: str
) -> None:
    random, begin, end = np.random.default_rng(number), 2000, 7000
    parrots = Population("P", 400, ParrotNeuron())
    # as few spikes a step for each dt: one that is likely is not where NEST's law is
    if kind == "gamma_sup":
        rate, order, n = random.uniform(2.0, 6.0) / dt, int(random.integers(1, 7)), 5
        given = {"rate": rate, "gamma_shape": order, "n_proc": n}
        stimulus = GammaInput(parrots, rate, 1.0, order, n)
    else:
        rate, order = random.uniform(6.0, 12.0) / dt, random.uniform(1.0, 8.0)
        given = {"rate": rate, "amplitude": rate * random.uniform(0.3, 1.0), "order": order}
        # a cycle has 200 steps
        given |= {"frequency": 5.0 / dt, "phase": random.uniform(-180.0, 180.0)}
        sine = Sine(given["amplitude"], given["frequency"], given["phase"], rate)
        stimulus = GammaInput(parrots, sine, 1.0, order)
    creation = f'nest.Create("{kind}_generator", params={given})'
    theirs = steps_of(nest_python, dt, creation, parrots.size, dt, end + 10)
    theirs[0] -= 1
    phases, intervals = [], []
    for step, neuron in (spikes_of(stimulus, parrots, dt, end), theirs):
        # NEST's sinusoidal processes all have a spike at their start: that is forgotten by then
        late = (step > begin) & (step <= end)
        order_of = np.lexsort((step[late], neuron[late]))
        own, who = step[late][order_of], neuron[late][order_of]
        phases.append(np.bincount(own % 200 // 10, minlength=20))
        intervals.append(np.diff(own)[np.diff(who) == 0])
    phases_of = np.array(phases)
    z = np.diff(phases_of, axis=0)[0] / np.sqrt(phases_of.sum(axis=0))
    bounds = np.quantile(np.concatenate(intervals), np.linspace(0.0, 1.0, 30))
    bounds = np.unique(np.rint(bounds)) + 0.5
    bounds[0] = 0.0 - 0.5
    table = np.array([np.histogram(one, bounds)[0] for one in intervals])
    p = stats.chi2_contingency(table).pvalue
    counts = phases_of.sum(axis=1)
    print(f"{kind}, dt {dt}, set {number}: {counts} spikes, z {np.mean(z**2):.2f}, p {p:.2g}")
    assert counts.min() > 10_000
    assert stats.chi2(z.size).cdf(np.sum(z**2)) < 1.0 - LEAST_P
    assert table.min() > 20
    assert p > LEAST_P


# at dt = 1 ms: NEST has more spikes of a rate that varies, and narrower intervals of a constant one
COARSE = {
    "sinusoidal_gamma": (
        {"rate": 100.0, "amplitude": 80.0, "frequency": 5.0, "order": 4.5},
        lambda given: (Sine(80.0, 5.0, 0.0, 100.0), 4.5),
    ),
    "gamma_sup": (
        {"rate": 40.0, "gamma_shape": 6, "n_proc": 1},
        lambda given: (40.0, 6.0),
    ),
}


@pytest.mark.parametrize("kind", COARSE)
def test_nests_gamma_spikes_have_another_law_where_they_are_frequent(
    kind: str, nest_python: str
) -> None:
    n, begin, end = 200, 1000, 3000
    given, described = COARSE[kind]
    rate, order = described(given)
    parrots = Population("P", n, ParrotNeuron())
    creation = f'nest.Create("{kind}_generator", params={given})'
    found = []
    for step, neuron in (
        spikes_of(GammaInput(parrots, rate, 1.0, order), parrots, 1.0, end),
        steps_of(nest_python, 1.0, creation, n, 1.0, end + 10),
    ):
        late = (step > begin) & (step <= end)
        order_of = np.lexsort((step[late], neuron[late]))
        own, who = step[late][order_of], neuron[late][order_of]
        intervals = np.diff(own)[np.diff(who) == 0]
        found.append((late.sum(), intervals.std() / intervals.mean()))
    (count, cv), (their_count, their_cv) = found
    expected = n * (end - begin) * given["rate"] / 1000.0
    print(f"{kind}, dt 1: {count} spikes, NEST {their_count}; CV {cv:.3f}, NEST {their_cv:.3f}")
    assert abs(count / expected - 1.0) < 0.01
    if kind == "sinusoidal_gamma":
        assert 1.03 < their_count / expected < 1.08
    else:
        # each of the six events that NEST waits for takes a geometric number of steps
        chance = 6 * given["rate"] / 1000.0
        assert abs(their_count / expected - 1.0) < 0.01
        # the variance of times on a grid
        grid = (given["rate"] / 1000.0) ** 2 / 6.0
        assert abs(cv / np.sqrt(1.0 / 6.0 + grid) - 1.0) < 0.02
        assert abs(their_cv / np.sqrt((1.0 - chance) / 6.0) - 1.0) < 0.02


@pytest.mark.parametrize(("dt", "number"), RUNS)
def test_pulse_packets_have_the_spread_of_nests(dt: float, number: int, nest_python: str) -> None:
    random, n = np.random.default_rng(number), 300
    times = [200 * dt, 500 * dt + random.uniform(0.0, dt)]
    activity, sd = int(random.integers(10, 40)), random.uniform(1.0, 20.0) * dt
    params = {"pulse_times": times, "activity": activity, "sdev": sd}
    creation = f'nest.Create("pulsepacket_generator", {n}, params={params})'
    parrots = Population("P", n, ParrotNeuron())
    theirs, _ = steps_of(nest_python, dt, creation, n, 10 * dt, 810)
    # NEST rounds up, and sends a step later; here a spike takes the nearest step
    later = np.array(times) + 11.5 * dt
    stimulus = pulse_packets(parrots, later, activity, sd, 1.0, dt=dt, seed=4)
    ours, _ = spikes_of(stimulus, parrots, dt, 800)
    assert ours.size == theirs.size == n * activity * len(times)
    p = p_of_one_law(ours, theirs)
    print(f"pulsepacket, dt {dt}, set {number}: {ours.size} spikes, p {p:.2g}")
    assert p > LEAST_P
