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
        ``spikes``       by variable, the weight (SI units) that is added and the list of
                         [step, neuron], at the end of the step that starts at step * dt
        ``record``       variables

ANSWER
    ``version``   Brian2's
    ``models``    by name: ``spikes``, a list of [step, neuron], where the step starts at step * dt;
                  and each recorded variable in SI units, shape (steps, size), at the steps' starts
"""

import json
import sys
from pathlib import Path

import brian2
import numpy as np

UNITS = {
    "1": 1.0,
    "1/ms": 1.0 / brian2.ms,
    "mV": brian2.mV,
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
    for name, (weight, spikes) in model["spikes"].items():
        step, neuron = np.array(spikes).T
        # the middle of a step is not rounded into another step
        source = brian2.SpikeGeneratorGroup(size, neuron, (step + 0.5) * dt)
        unit = brian2.get_unit(neurons.variables[name].dim)
        synapses = brian2.Synapses(
            source, neurons, on_pre=f"{name}_post += weight", namespace={"weight": weight * unit}
        )
        synapses.connect(j="i")
        parts += [source, synapses]
    recorded = model["record"]
    trace = brian2.StateMonitor(neurons, recorded, record=True)
    emitted = brian2.SpikeMonitor(neurons)
    brian2.Network(*parts, trace, emitted).run(model["time"] * brian2.ms)
    step = np.rint(np.asarray(emitted.t / dt)).astype(int)
    answer = {name: np.asarray(getattr(trace, name + "_")).T.tolist() for name in recorded}
    return answer | {"spikes": np.stack([step, np.asarray(emitted.i)], axis=1).tolist()}


def main(request, answer):
    """Read the request, run its models, write the answer."""
    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.log_level_error()
    asked = json.loads(Path(request).read_text())
    models = {name: run(model) for name, model in asked["models"].items()}
    Path(answer).write_text(json.dumps({"version": brian2.__version__, "models": models}))


if __name__ == "__main__":
    main(*sys.argv[1:])
