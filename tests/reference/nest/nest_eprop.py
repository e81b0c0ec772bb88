#!/usr/bin/env python3
"""Run a small network that learns by e-prop in NEST: the oracle of distsnn's e-prop.

    $DISTSNN_NEST_PYTHON nest_eprop.py DESCRIPTION.json ARRAYS.npz RESULT.npz

NEST is GPL: this script runs it in a process and an environment of its own, and nothing of
distsnn or its tests imports it. Trains act on recurrent neurons, these on each other and on readout
neurons, all by plastic synapses; readouts send learning signals to recurrent neurons. All delays
are one step.

DESCRIPTION
    ``resolution``, ``steps``   step, ms, and how many are simulated
    ``optimizer``               NEST's parameters of each of the kinds of synapses

ARRAYS
    ``recurrent_NAME``, ``readout_NAME``   parameters and initial values, one a neuron
    ``train_source``, ``train_step``       spikes of the trains, in steps > 1
    ``KIND_source``, ``KIND_target``, ``KIND_weight``   synapses; KIND is input, recurrent or output
    ``feedback``                shape (readouts, recurrent neurons)
    ``target_signal``           shape (steps, readouts): from which step on which value is sent

RESULT
    ``spike_step``, ``spike_neuron``   of the recurrent neurons
    ``V_m``, ``surrogate_gradient``    shape (steps, recurrent neurons)
    ``readout_V_m``, ``readout_error_signal``, ``readout_target_signal``   (steps, readouts)
    ``KIND_source``, ``KIND_target``, ``KIND_step``, ``KIND_weight``   what synapses sent, when
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("PYNEST_QUIET", "1")

KINDS = ("input", "recurrent", "output")


def neurons(nest, model, arrays, prefix):
    """Create neurons with the parameters whose names begin with a prefix."""
    given = {
        name.removeprefix(f"{prefix}_"): values
        for name, values in arrays.items()
        if name.startswith(f"{prefix}_") and name.removeprefix(f"{prefix}_") not in EDGES
    }
    nodes = nest.Create(model, len(given["tau_m"]))
    nodes.set({name: values.astype(np.float64) for name, values in given.items()})
    return nodes


EDGES = ("source", "target", "weight")


def recorded(nest, nodes, variables, steps, resolution):
    """Return a function that reads the variables of nodes, step by step."""
    meter = nest.Create("multimeter", {"record_from": variables, "interval": resolution})
    nest.Connect(meter, nodes)
    first = nodes.tolist()[0]

    def read():
        events = meter.events
        row = np.rint(events["times"] / resolution).astype(np.int64) - 1
        column = events["senders"] - first
        keep = row < steps
        found = {}
        for name in variables:
            found[name] = np.full((steps, len(nodes)), np.nan)
            found[name][row[keep], column[keep]] = events[name][keep]
        return found

    return read


def run(description, arrays):
    """Simulate and return the named arrays of the result."""
    import nest

    resolution, steps = description["resolution"], description["steps"]
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution
    recurrent = neurons(nest, "eprop_iaf", arrays, "recurrent")
    readout = neurons(nest, "eprop_readout", arrays, "readout")
    trains = nest.Create("parrot_neuron", int(arrays["input_source"].max()) + 1)
    for index, relay in enumerate(trains):
        step = np.sort(arrays["train_step"][arrays["train_source"] == index]) - 1
        times = np.round(step * resolution, 9)
        generator = nest.Create("spike_generator", params={"spike_times": times})
        nest.Connect(generator, relay, syn_spec={"delay": resolution})

    ends = {"input": (trains, recurrent), "recurrent": (recurrent,) * 2}
    ends["output"] = (recurrent, readout)
    recorders = {}
    for kind in KINDS:
        recorders[kind] = nest.Create("weight_recorder", params={"time_in_steps": True})
        optimizer = {"optimizer": "gradient_descent"} | description["optimizer"][kind]
        nest.CopyModel(
            "eprop_synapse", kind, {"weight_recorder": recorders[kind], "optimizer": optimizer}
        )
        pre, post = ends[kind]
        source, target, weight = (arrays[f"{kind}_{name}"] for name in EDGES)
        nest.Connect(
            np.array(pre.tolist())[source],
            np.array(post.tolist())[target],
            "one_to_one",
            {"synapse_model": kind, "weight": weight, "delay": np.full(len(source), resolution)},
        )
    nest.Connect(
        readout,
        recurrent,
        "all_to_all",
        {
            "synapse_model": "eprop_learning_signal_connection",
            "weight": arrays["feedback"].T,
            "delay": resolution,
        },
    )
    times = np.round(np.arange(1, steps + 1) * resolution, 9)
    receptors = nest.GetDefaults("eprop_readout")["receptor_types"]
    how = {"synapse_model": "rate_connection_delayed", "delay": resolution}
    window = nest.Create(
        "step_rate_generator", params={"amplitude_times": times[:1], "amplitude_values": [1.0]}
    )
    nest.Connect(
        window, readout, syn_spec=how | {"receptor_type": receptors["eprop_learning_window"]}
    )
    for node, values in zip(readout, arrays["target_signal"].T, strict=True):
        generator = nest.Create(
            "step_rate_generator", params={"amplitude_times": times, "amplitude_values": values}
        )
        nest.Connect(generator, node, syn_spec=how | {"receptor_type": receptors["target_signal"]})
    spikes = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(recurrent, spikes)
    of_recurrent = recorded(nest, recurrent, ["V_m", "surrogate_gradient"], steps, resolution)
    of_readout = recorded(
        nest, readout, ["V_m", "error_signal", "target_signal"], steps, resolution
    )
    nest.Simulate(round((steps + 2) * resolution, 9))

    result = of_recurrent() | {f"readout_{name}": x for name, x in of_readout().items()}
    step, sender = spikes.events["times"], spikes.events["senders"] - recurrent.tolist()[0]
    order = np.lexsort((sender, step))
    order = order[step[order] <= steps]
    result |= {"spike_step": step[order], "spike_neuron": sender[order]}
    for kind, recorder in recorders.items():
        pre, post = ends[kind]
        events = recorder.events
        keep = events["times"] <= steps
        result[f"{kind}_step"] = events["times"][keep]
        result[f"{kind}_weight"] = events["weights"][keep]
        result[f"{kind}_source"] = events["senders"][keep] - pre.tolist()[0]
        result[f"{kind}_target"] = events["targets"][keep] - post.tolist()[0]
    return result


def main(description, arrays, result):
    """Read the description, run it, write the result."""
    with np.load(arrays, allow_pickle=False) as given:
        named = {name: given[name] for name in given.files}
    np.savez(result, **run(json.loads(Path(description).read_text()), named))


if __name__ == "__main__":
    main(*sys.argv[1:])
