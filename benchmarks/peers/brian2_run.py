#!/usr/bin/env python3
"""Run single-neuron models in Brian2 under given spikes and currents, and return their traces.

    $DISTSNN_BRIAN2_PYTHON brian2_run.py REQUEST.json ANSWER.json

Brian2 (CeCILL) runs in a process and an environment of its own. Its numpy target needs no compiler.

REQUEST
    ``models``   by name, each a mapping with
        ``equations``, ``threshold``, ``reset``, ``method``   Brian2's texts, where I_ext is the
                         given current
        ``size``         neurons
        ``dt``, ``time``, ``refractory``   ms
        ``constants``    by name, [value, unit], the unit one of UNITS
        ``initial``      values of variables in SI units, a number or one for each neuron
        ``current``      pA, shape (steps, size)
        ``spikes``       list of [variable, weight, [[step, neuron], ...]]: the weight (SI units)
                         is added to the variable at the end of the step that starts at step * dt
        ``record``       variables
        ``plastic``      of a model with synapses that learn, from source i to neuron i, where a
                         neuron's spike comes before the source's of the same step: ``sources``
                         and ``source_reset``, the equations and reset of the sources, ``emitted``,
                         their spikes as a list of [step, source], ``model``, ``on_pre``,
                         ``on_post``, ``on_arrival``, done two steps after ``on_pre``, and
                         ``weight``, the name and the first value of the weight

ANSWER
    ``version``   Brian2's
    ``models``    by name: ``spikes``, a list of [step, neuron], where the step starts at step * dt;
                  and each recorded variable in SI units, shape (steps, size), at the steps'
                  starts, also the weights
"""

import json
import sys
from pathlib import Path

import brian2
import numpy as np

UNITS = {
    "1": 1.0,
    "1/ms": 1.0 / brian2.ms,
    "1/mV": 1.0 / brian2.mV,
    "mV": brian2.mV,
    "mV**2": brian2.mV**2,
    "ms": brian2.ms,
    "nS": brian2.nsiemens,
    "pA": brian2.pamp,
    "pF": brian2.pfarad,
}


def run(model):
    """Return spikes and traces of a model."""
    brian2.seed(1)
    dt, size = model["dt"] * brian2.ms, model["size"]
    brian2.defaultclock.dt = dt
    namespace = {name: value * UNITS[unit] for name, (value, unit) in model["constants"].items()}
    namespace["given"] = brian2.TimedArray(np.array(model["current"]) * brian2.pamp, dt=dt)
    neurons = brian2.NeuronGroup(
        size,
        model["equations"] + "\nI_ext : amp",
        threshold=model["threshold"],
        reset=model["reset"],
        refractory=model["refractory"] * brian2.ms,
        method=model["method"],
        namespace=namespace,
    )
    # a variable does not change within a step
    neurons.run_regularly("I_ext = given(t, i)", when="start")
    for name, value in model["initial"].items():
        setattr(neurons, name + "_", np.broadcast_to(value, size))
    parts = [neurons]
    for name, weight, spikes in model["spikes"]:
        step, neuron = np.array(spikes).T
        # the middle of a step is not rounded into another step
        source = brian2.SpikeGeneratorGroup(size, neuron, (step + 0.5) * dt)
        unit = brian2.get_unit(neurons.variables[name].dim)
        synapses = brian2.Synapses(
            source, neurons, on_pre=f"{name}_post += weight", namespace={"weight": weight * unit}
        )
        synapses.connect(j="i")
        parts += [source, synapses]
    if "plastic" in model:
        parts += plastic_synapses(neurons, model, namespace)
    recorded = model["record"]
    trace = brian2.StateMonitor(neurons, recorded, record=True)
    emitted = brian2.SpikeMonitor(neurons)
    traces = {name: (trace, name) for name in recorded}
    if "plastic" in model:
        name = model["plastic"]["weight"][0]
        traces["weights"] = brian2.StateMonitor(parts[-1], name, record=True), name
        parts.append(traces["weights"][0])
    brian2.Network(*parts, trace, emitted).run(model["time"] * brian2.ms)
    step = np.rint(np.asarray(emitted.t / dt)).astype(int)
    answer = {
        key: np.asarray(getattr(monitor, f"{name}_")).T.tolist()
        for key, (monitor, name) in traces.items()
    }
    return answer | {"spikes": np.stack([step, np.asarray(emitted.i)], axis=1).tolist()}


def plastic_synapses(neurons, model, namespace):
    """Return the sources and the synapses of a model that learns."""
    given, dt, size = model["plastic"], model["dt"] * brian2.ms, model["size"]
    steps = round(model["time"] / model["dt"])
    spikes = np.zeros((steps, size))
    spikes[tuple(np.array(given["emitted"]).T)] = 1.0
    emits = brian2.TimedArray(spikes, dt=dt)
    sources = brian2.NeuronGroup(
        size,
        given["sources"],
        threshold="emits(t, i) > 0.5",
        reset=given["source_reset"],
        method="exact",
        namespace={**namespace, "emits": emits},
    )
    synapses = brian2.Synapses(
        sources,
        neurons,
        given["model"],
        on_pre={"pre": given["on_pre"], "arrival": given["on_arrival"]},
        on_post=given["on_post"],
        delay={"arrival": 2 * dt},
        namespace=namespace,
    )
    synapses.connect(j="i")
    synapses.post.order = synapses.pre.order - 1
    name, value = given["weight"]
    setattr(synapses, name + "_", value)
    return [sources, synapses]


def main(request, answer):
    """Read the request, run its models, write the answer."""
    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.log_level_error()
    asked = json.loads(Path(request).read_text())
    models = {name: run(model) for name, model in asked["models"].items()}
    Path(answer).write_text(json.dumps({"version": brian2.__version__, "models": models}))


if __name__ == "__main__":
    main(*sys.argv[1:])
