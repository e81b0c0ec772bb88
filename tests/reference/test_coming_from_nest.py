"""What docs/coming-from-nest.md says of NEST, by NEST itself."""

import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
from documents import DOCS, marked

from distsnn.network import (
    AllToAll,
    HhCondExpTraub,
    IafPscExp,
    Network,
    OneToOne,
    Population,
    Projection,
)
from distsnn.simulation import Simulation

PAGE = "coming-from-nest.md"
HEAD = """
import json
import nest
nest.verbosity = nest.VerbosityLevel.ERROR
nest.resolution = 0.1
"""


def run(python: str, program: str) -> str:
    """Return what a program prints, without NEST's greeting."""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(python: str, program: str) -> Any:
    """Return the JSON in the last line that a program for NEST prints."""
    return json.loads(run(python, HEAD + program).splitlines()[-1])


def spikes(text: str) -> list[tuple[float, int]]:
    """Return the lines ``TIME NEURON`` of an output, sorted."""
    words = [line.split() for line in text.splitlines()]
    pairs = [one for one in words if len(one) == 2 and one[0].replace(".", "").isdigit()]
    return sorted((float(time), int(neuron)) for time, neuron in pairs)


def test_the_two_scripts_have_the_same_spikes(nest_python: str) -> None:
    theirs = spikes(run(nest_python, marked(PAGE, "script: nest")))
    ours = spikes(run(sys.executable, marked(PAGE, "script: distsnn")))
    assert len(theirs) > 50
    assert ours == theirs


# A current that starts at 1 ms changes V_m a delay and a step later, Poisson input comes a step
# after that, and where its rate varies a step before. NEST's copies come after two delays, its
# packets without jitter a delay and a step after their times.
GENERATORS = {
    "dc_generator": ({"amplitude": 100.0, "start": 1.0, "stop": 2.0}, 1.1),
    "step_current_generator": (
        {"amplitude_times": [1.0, 2.0], "amplitude_values": [100.0, 0.0]},
        1.1,
    ),
    "ac_generator": (
        {"amplitude": 100.0, "frequency": 1.0, "phase": 90.0, "start": 1.0, "stop": 2.0},
        1.1,
    ),
    "noise_generator": ({"std": 100.0, "dt": 0.1, "start": 1.0, "stop": 2.0}, 1.1),
    "poisson_generator": ({"rate": 1e5, "start": 1.0, "stop": 2.0}, 1.2),
    "mip_generator": ({"rate": 1e6, "p_copy": 0.5, "start": 1.0, "stop": 2.0}, 1.1),
    "sinusoidal_poisson_generator": ({"rate": 1e5, "start": 1.0, "stop": 2.0}, 1.0),
    "gamma_sup_generator": (
        {"rate": 1e3, "gamma_shape": 1, "n_proc": 1000, "start": 1.0, "stop": 2.0},
        1.2,
    ),
    "sinusoidal_gamma_generator": ({"rate": 1e5, "order": 1.0, "start": 1.0, "stop": 2.0}, 1.2),
    "inhomogeneous_poisson_generator": (
        {"rate_times": [1.0, 2.0], "rate_values": [1e5, 0.0]},
        1.0,
    ),
    "pulsepacket_generator": (
        {"pulse_times": [round(0.1 * k, 1) for k in range(10, 20)], "activity": 1, "sdev": 0.0},
        1.1,
    ),
}


def test_when_generators_act(nest_python: str) -> None:
    cases = [(name, delay) for name in GENERATORS for delay in (0.1, 0.5)]
    currents = [name for name in GENERATORS if name.split("_")[0] in {"dc", "step", "ac", "noise"}]
    found = answer(
        nest_python,
        f"""
generators = {GENERATORS!r}
found = []
for name, delay in {cases!r}:
    nest.ResetKernel()
    nest.resolution = 0.1
    observed = "V_m" if name in {currents!r} else "I_syn_ex"
    generator = nest.Create(name, params=generators[name][0])
    neuron = nest.Create("iaf_psc_exp", params={{"tau_m": 1e9, "tau_syn_ex": 1e9, "V_th": 1e9}})
    nest.Connect(generator, neuron, syn_spec={{"delay": delay}})
    meter = nest.Create("multimeter", params={{"record_from": [observed], "interval": 0.1}})
    nest.Connect(meter, neuron)
    nest.Simulate(5.0)
    values = meter.events[observed]
    changed = abs(values[1:] - values[:-1]) > 1e-6
    found.append(list(meter.events["times"][1:][changed]))
print(json.dumps(found))
""",
    )
    for (name, delay), times in zip(cases, found, strict=True):
        later = 2 * delay if name == "mip_generator" else delay
        begin = round((GENERATORS[name][1] + later) / 0.1)
        steps = np.rint(np.array(times) / 0.1).astype(int).tolist()
        assert steps == list(range(begin, begin + 10)), (name, delay)


def test_weights_parrots_times_and_delays(nest_python: str) -> None:
    found = answer(
        nest_python,
        """
def interval(t_ref):
    nest.ResetKernel()
    neuron = nest.Create("iaf_psc_exp", params={"I_e": 500.0, "t_ref": t_ref})
    recorder = nest.Create("spike_recorder")
    nest.Connect(neuron, recorder)
    nest.Simulate(50.0)
    first, second = recorder.events["times"][:2]
    return round(second - first, 1)

def relayed(weight):
    nest.ResetKernel()
    generator = nest.Create("spike_generator", params={"spike_times": [10.0]})
    parrot, recorder = nest.Create("parrot_neuron"), nest.Create("spike_recorder")
    nest.Connect(generator, parrot, syn_spec={"weight": weight})
    nest.Connect(parrot, recorder)
    nest.Simulate(20.0)
    return recorder.n_events

def delay(given):
    nest.ResetKernel()
    two = nest.Create("parrot_neuron", 2)
    nest.Connect(two[0], two[1], syn_spec={"delay": given})
    return round(nest.GetConnections().get("delay"), 3)

def weight():
    nest.ResetKernel()
    pre, post = nest.Create("parrot_neuron"), nest.Create("parrot_neuron")
    for parrot, time in ((pre, 10.0), (post, 20.0)):
        nest.Connect(nest.Create("spike_generator", params={"spike_times": [time]}), parrot)
    synapse = {"synapse_model": "stdp_synapse", "weight": 50.0, "receptor_type": 1}
    nest.Connect(pre, post, syn_spec=synapse)
    nest.Simulate(100.0)
    return nest.GetConnections(pre, post).get("weight")

def defaults():
    nest.ResetKernel()
    one = nest.Create("iaf_psc_exp", 2)
    nest.Connect(one, one)
    found = nest.GetConnections()
    return [len(found), found.get("weight")[0], found.get("delay")[0]]

print(json.dumps({
    "intervals": [interval(2.0), interval(2.05), interval(2.1)],
    "relayed": [relayed(weight) for weight in (0.5, 1.0, 2.0, -3.0)],
    "delays": [delay(1.26), delay(6553.6)],
    "weight": weight(),
    "defaults": defaults(),
}))
""",
    )
    assert found == {
        "intervals": [15.9, 16.0, 16.0],
        "relayed": [1, 1, 1, 1],
        "delays": [1.3, 6553.6],
        "weight": 50.0,
        "defaults": [4, 1.0, 1.0],
    }


def test_gates_of_nests_neurons_start_elsewhere(nest_python: str) -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    initial = json.loads(re.search(r"initial=({.*?})", text)[1])
    found = answer(
        nest_python,
        f"""
neuron = nest.Create("hh_cond_exp_traub", params={{"E_L": -65.0, "I_e": 500.0}})
start = neuron.get(["V_m", *{[*initial]!r}])
recorder = nest.Create("spike_recorder")
nest.Connect(neuron, recorder)
nest.Simulate(100.0)
print(json.dumps([start, list(recorder.events["times"])]))
""",
    )
    start, times = found
    assert start == {"V_m": -60.0, **initial}
    steps = np.rint(np.array(times) / 0.1).astype(int)
    assert len(steps) > 3
    for gates in ({}, initial):
        model = HhCondExpTraub(E_L=-65.0, I_e=500.0, substeps=20)
        cell = Population("H", 1, model, {"V_m": -60.0, **gates}, precision="float64")
        with Simulation(Network([cell])) as simulation:
            simulation.run(100.0)
            np.testing.assert_allclose(simulation[cell].spikes()[0], steps, atol=1)


def test_views_are_connected_as_in_nest(nest_python: str) -> None:
    program = """
pairs = []
for pre, post, rule in (
    ("e[::2]", "i[[1, 5]]", "all_to_all"),
    ("e[[0, 3, 7]]", "i[::4]", "one_to_one"),
    ("e[1::3]", "e[1::3]", {"rule": "all_to_all", "allow_autapses": False}),
):
    nest.ResetKernel()
    e, i = nest.Create("iaf_psc_exp", 20), nest.Create("iaf_psc_exp", 9)
    nest.Connect(eval(pre), eval(post), rule)
    found = nest.GetConnections()
    pairs.append(sorted([s - 1, t - 1] for s, t in zip(found.source, found.target)))
print(json.dumps(pairs))
"""
    e, i = Population("E", 20, IafPscExp()), Population("I", 9, IafPscExp())
    for projection, theirs in zip(
        [
            Projection(e[::2], i[[1, 5]], AllToAll(), 1.0, 1.0),
            Projection(e[[0, 3, 7]], i[::4], OneToOne(), 1.0, 1.0),
            Projection(e[1::3], e[1::3], AllToAll(autapses=False), 1.0, 1.0),
        ],
        answer(nest_python, program),
        strict=True,
    ):
        with Simulation(Network([e, i], [projection])) as simulation:
            table = simulation[projection].connections()
        assert [[source, target] for source, target, *_ in table.tolist()] == theirs
