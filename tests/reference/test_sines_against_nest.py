"""Stimuli beside NEST: potentials under sines, and random spikes of its generators."""

import numpy as np
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

AMPLITUDE, FREQUENCY = [300.0, -120.0, 250.0], [8.0, 41.7, 2500.0]
PHASE, OFFSET = [0.0, 200.0, -77.0], [0.0, 90.0, -30.0]
START, STOP, END = 3.0, 800.0, 1000.0


@pytest.mark.parametrize("delay", [0.1, 0.7])
def test_potential_under_alternating_currents(delay: float, nest_python: str, tmp_path) -> None:
    theirs = answer(
        nest_python,
        f"""
generators = nest.Create("ac_generator", 3, params={{
    "amplitude": {AMPLITUDE}, "frequency": {FREQUENCY}, "phase": {PHASE}, "offset": {OFFSET},
    "start": {START}, "stop": {STOP}}})
neurons = nest.Create("iaf_psc_exp", 3, params={{"V_th": 1e9}})
nest.Connect(generators, neurons, "one_to_one", syn_spec={{"delay": {delay}}})
meters = nest.Create("multimeter", 3, params={{"record_from": ["V_m"], "interval": 0.1}})
nest.Connect(meters, neurons, "one_to_one")
nest.Simulate({END + 10.0})
print(json.dumps([list(one.events["V_m"]) for one in meters]))
""",
    )
    cells = Population("C", 3, IafPscExp(V_th=1e9), {"V_m": -70.0}, precision="float64")
    phase = np.array(PHASE) - 0.36 * np.array(FREQUENCY) * delay
    window = {"start": START + delay, "stop": STOP + delay}
    current = SineCurrent(cells, AMPLITUDE, FREQUENCY, phase, OFFSET, **window)
    path = tmp_path / "run.zarr"
    records = [RecordState(cells, "V_m", interval=0.1)]
    with Simulation(Network([cells], [], [current], records), out=path) as simulation:
        simulation.run(END)
    ours = StoreReader(path).state("C").variables["V_m"][:, :]
    expected = np.array(theirs)[:, : len(ours)].T
    assert np.ptp(expected, axis=0).min() > 0.1
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=1e-9)


RATES = {
    "sinusoidal": {"rate": 300.0, "amplitude": 500.0, "frequency": 50.0, "phase": 70.0},
    "inhomogeneous": {"rate_times": [3.0, 9.0, 13.3], "rate_values": [800.0, 100.0, 450.0]},
}
PARROTS, END_OF_RATES = Population("P", 10_000, ParrotNeuron()), 20.0


def course_of(kind: str, delay: float) -> PoissonInput:
    """Return our input with NEST's times."""
    parrots, given, dt = PARROTS, RATES[kind], 0.1
    later = delay - dt
    if kind == "sinusoidal":
        phase = given["phase"] - 0.36 * given["frequency"] * later
        rate = Sine(given["amplitude"], given["frequency"], phase, given["rate"])
        return PoissonInput(parrots, rate, 1.0, start=2.0 + later, stop=18.0 + later)
    times = np.round(np.array(given["rate_times"]) + later, 9)
    return PoissonInput(parrots, Piecewise(times, given["rate_values"]), 1.0)


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("delay", [0.1, 0.7])
def test_rates_of_poisson_spikes_in_each_step(kind: str, delay: float, nest_python: str) -> None:
    window = {"start": 2.0, "stop": 18.0} if kind == "sinusoidal" else {}
    theirs = answer(
        nest_python,
        f"""
import numpy as np
generator = nest.Create("{kind}_poisson_generator", params={RATES[kind] | window})
parrots = nest.Create("parrot_neuron", {PARROTS.size})
nest.Connect(generator, parrots, syn_spec={{"delay": {delay}}})
recorder = nest.Create("spike_recorder")
nest.Connect(parrots, recorder)
nest.Simulate(30.0)
steps = np.rint(recorder.events["times"] / 0.1).astype(int)
print(json.dumps(np.bincount(steps, minlength=201)[:201].tolist()))
""",
    )
    with Simulation(Network([PARROTS], [], [course_of(kind, delay)]), seed=3) as simulation:
        simulation.run(END_OF_RATES)
        ours = np.bincount(simulation[PARROTS].spikes()[0], minlength=201)
    expected = np.array(theirs)
    assert ours.shape == expected.shape and expected.sum() > 30_000
    both = ours + expected
    often = both > 40
    # where one has no spike, the other has few at most
    assert both[(ours == 0) != (expected == 0)].max(initial=0) < 15
    z = (ours - expected)[often] / np.sqrt(both[often])
    assert np.abs(z).max() < 4.5
    assert LEAST_P < stats.chi2(z.size).cdf(np.sum(z**2)) < 1.0 - LEAST_P


def test_sums_of_correlated_spikes_have_the_law_of_nests(nest_python: str) -> None:
    n, steps, rate, correlation = 20, 20_000, 300.0, 0.4
    theirs = answer(
        nest_python,
        f"""
import numpy as np
params = {{"rate": {rate / correlation}, "p_copy": {correlation}}}
generator = nest.Create("mip_generator", params=params)
parrots = nest.Create("parrot_neuron", {n})
nest.Connect(generator, parrots, syn_spec={{"delay": 0.1}})
recorder = nest.Create("spike_recorder")
nest.Connect(parrots, recorder)
nest.Simulate({0.1 * steps + 0.4})
times = np.rint(recorder.events["times"] / 0.1).astype(int)
print(json.dumps(np.bincount(times, minlength={steps + 4})[3:{steps + 3}].tolist()))
""",
    )
    parrots = Population("P", n, ParrotNeuron())
    drive = PoissonInput(parrots, rate, 1.0, correlation=correlation)
    with Simulation(Network([parrots], [], [drive]), seed=3) as simulation:
        simulation.run(0.1 * steps)
        ours = np.bincount(simulation[parrots].spikes()[0], minlength=steps + 1)[1:]
    assert len(theirs) == ours.size == steps
    table = np.array([np.bincount(one, minlength=100) for one in (theirs, ours)])
    often = table.sum(axis=0) >= 20
    assert often.sum() > 8
    table = np.column_stack([table[:, often], table[:, ~often].sum(axis=1)])
    assert stats.chi2_contingency(table).pvalue > LEAST_P


GAMMAS = {
    "gamma_sup": ({"rate": 40.0, "gamma_shape": 3, "n_proc": 5}, lambda p: (40.0, 3.0, 5)),
    "sinusoidal_gamma": (
        {"rate": 100.0, "amplitude": 80.0, "frequency": 50.0, "phase": 60.0, "order": 4.5},
        lambda p: (Sine(80.0, 50.0, 60.0, 100.0), 4.5, 1),
    ),
}


@pytest.mark.parametrize("kind", GAMMAS)
def test_intervals_and_phases_of_gamma_spikes(kind: str, nest_python: str) -> None:
    given, described = GAMMAS[kind]
    n, begin, end = 400, 1000, 6000
    theirs = answer(
        nest_python,
        f"""
generator = nest.Create("{kind}_generator", params={given})
parrots = nest.Create("parrot_neuron", {n})
nest.Connect(generator, parrots, syn_spec={{"delay": 0.1}})
recorder = nest.Create("spike_recorder")
nest.Connect(parrots, recorder)
nest.Simulate({0.1 * end + 1.0})
events = recorder.events
print(json.dumps([list(events["times"]), [int(one) for one in events["senders"]]]))
""",
    )
    parrots = Population("P", n, ParrotNeuron())
    rate, order, processes = described(given)
    drive = GammaInput(parrots, rate, 1.0, order, processes)
    with Simulation(Network([parrots], [], [drive]), seed=3) as simulation:
        simulation.run(0.1 * end)
        ours = simulation[parrots].spikes()
    steps = np.rint(np.array(theirs[0]) / 0.1).astype(int) - 1
    phases, intervals = [], []
    for step, neuron in (ours, (steps, np.array(theirs[1]))):
        # NEST's sinusoidal processes all have a spike at their start: that is forgotten by then
        late = (step > begin) & (step <= end)
        order_of = np.lexsort((step[late], neuron[late]))
        own, who = step[late][order_of], neuron[late][order_of]
        phases.append(np.bincount(own % 200 // 10, minlength=20))
        intervals.append(np.diff(own)[np.diff(who) == 0])
    phases_of = np.array(phases)
    assert phases_of.sum() > 30_000
    z = np.diff(phases_of, axis=0)[0] / np.sqrt(phases_of.sum(axis=0))
    assert stats.chi2(z.size).cdf(np.sum(z**2)) < 1.0 - LEAST_P
    bounds = np.quantile(np.concatenate(intervals), np.linspace(0.0, 1.0, 30))
    bounds = np.unique(np.rint(bounds)) + 0.5
    bounds[0] = 0.0 - 0.5
    table = np.array([np.histogram(one, bounds)[0] for one in intervals])
    assert table.min() > 20
    assert stats.chi2_contingency(table).pvalue > LEAST_P


def test_pulse_packets_have_the_spread_of_nests(nest_python: str) -> None:
    n, times, activity, sd = 300, [20.0, 50.0], 30, 3.0
    params = {"pulse_times": times, "activity": activity, "sdev": sd}
    theirs = answer(
        nest_python,
        f"""
generators = nest.Create("pulsepacket_generator", {n}, params={params})
parrots = nest.Create("parrot_neuron", {n})
nest.Connect(generators, parrots, "one_to_one", syn_spec={{"delay": 1.0}})
recorder = nest.Create("spike_recorder")
nest.Connect(parrots, recorder)
nest.Simulate(80.0)
print(json.dumps(list(recorder.events["times"])))
""",
    )
    parrots = Population("P", n, ParrotNeuron())
    drive = pulse_packets(parrots, times, activity, sd, 1.0, seed=4)
    with Simulation(Network([parrots], [], [drive])) as simulation:
        simulation.run(80.0)
        ours = simulation[parrots].spikes()[0]
    steps = np.rint(np.array(theirs) / 0.1).astype(int) - 10
    assert ours.size == steps.size == n * activity * len(times)
    table = np.array([np.bincount(one // 5, minlength=160)[:160] for one in (ours, steps)])
    often = table.sum(axis=0) >= 20
    table = np.column_stack([table[:, often], table[:, ~often].sum(axis=1)])
    assert stats.chi2_contingency(table).pvalue > LEAST_P
