#!/usr/bin/env python3
"""Let dendrites learn in NEST by urbanczik_synapse: the oracle of neuron and rule.

    $DISTSNN_NEST_PYTHON nest_urbanczik.py DESCRIPTION.json ARRAYS.npz RESULT.npz

NEST is GPL: this script runs it in a process and an environment of its own, and nothing of
distsnn or its tests imports it. Times are integers in steps.

DESCRIPTION
    ``resolution``, ``steps``, ``populations``   as in nest_run.py
    ``rule``         parameters of urbanczik_synapse, each the name of an array with a value per
                     synapse
    ``variables``    states recorded in every step

ARRAYS
    ``train_source``, ``train_step``   given spikes, from step 2 on
    ``input_*``                        static synapses from these sources
    ``plastic_*``                      synapses that learn; one for a pair
    each with ``_source``, ``_target``, ``_weight``, ``_delay`` (steps), ``_receptor`` (NEST's)
    ``stimulus_*``                     currents to somata, as in nest_run.py

RESULT
    ``spike_step``, ``spike_neuron``    int64, one entry per spike: NEST may draw several in a step
    ``synapse``, ``step``, ``weight``   after every spike of its source, in this order
    one array per variable              float64, shape (steps, number of neurons)
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from nest_run import (
    Arrays,
    connect,
    create_neurons,
    create_sources,
    in_steps,
    position,
    stimulate,
    synapses,
)

os.environ.setdefault("PYNEST_QUIET", "1")
SOMA_CURRENT = 5


def learning(nest, sources, neurons, arrays, description):
    """Create the synapses that learn; return the recorder of their weights."""
    recorder = nest.Create("weight_recorder")
    nest.CopyModel("urbanczik_synapse", "learning", {"weight_recorder": recorder})
    source, target, weight, delay = synapses(arrays, "plastic", len(sources), len(neurons))
    names = description["rule"]
    for k in range(source.size):
        parameters = {name: float(arrays[array][k]) for name, array in names.items()}
        # in the model, since a connection's own weight leaves NEST's initial weight at 1
        nest.SetDefaults("learning", parameters | {"weight": float(weight[k])})
        options = {
            "synapse_model": "learning",
            "delay": round(delay[k] * description["resolution"], 9),
            "receptor_type": int(arrays["plastic_receptor"][k]),
        }
        pair = ([int(node)] for node in (sources[source[k]], neurons[target[k]]))
        nest.Connect(*map(nest.NodeCollection, pair), syn_spec=options)
    return recorder


def run(description, arrays):
    """Simulate and return the named arrays of the result."""
    import nest

    resolution, steps = description["resolution"], description["steps"]
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution
    neurons = create_neurons(nest, description["populations"], arrays)
    sources = create_sources(nest, arrays, resolution, True)
    edges = synapses(arrays, "input", len(sources), len(neurons))
    receptors = {"receptor_type": arrays["input_receptor"]}
    connect(nest, sources, neurons, edges, resolution, receptors)
    stimulate(nest, neurons, arrays, resolution, SOMA_CURRENT)
    weights = learning(nest, sources, neurons, arrays, description)
    spikes = nest.Create("spike_recorder")
    nest.Connect(nest.NodeCollection(neurons), spikes)
    variables = description["variables"]
    meter = nest.Create("multimeter", params={"record_from": variables, "interval": resolution})
    nest.Connect(meter, nest.NodeCollection(neurons))

    # Recorders receive events a communication interval late, so the simulation continues a little.
    nest.Simulate(round(steps * resolution, 9))
    nest.Simulate(round(2 * nest.min_delay, 9))

    events = spikes.events
    step, neuron = in_steps(events["times"], resolution), position(neurons, events["senders"])
    keep = np.lexsort((neuron, step))
    keep = keep[step[keep] <= steps]
    result = {"spike_step": step[keep], "spike_neuron": neuron[keep]}
    events = weights.events
    pairs = arrays["plastic_source"] * len(neurons) + arrays["plastic_target"]
    if np.unique(pairs).size < pairs.size:
        raise ValueError("a pair has two synapses, whose recorded weights cannot be distinguished")
    order = np.argsort(pairs)
    recorded = position(sources, events["senders"]) * len(neurons)
    recorded += position(neurons, events["targets"])
    synapse, step = (
        order[np.searchsorted(pairs[order], recorded)],
        in_steps(events["times"], resolution),
    )
    keep = np.lexsort((step, synapse))
    keep = keep[step[keep] <= steps]
    result |= {"synapse": synapse[keep], "step": step[keep], "weight": events["weights"][keep]}
    events = meter.events
    row = in_steps(events["times"], resolution) - 1
    keep = row < steps
    for name in variables:
        result[name] = np.full((steps, len(neurons)), np.nan)
        result[name][row[keep], position(neurons, events["senders"][keep])] = events[name][keep]
    return result


def main(description, arrays, result):
    """Read the description, run it, write the result."""
    with np.load(arrays, allow_pickle=False) as file:
        named = Arrays({name: file[name] for name in file.files})
    np.savez(result, **run(json.loads(Path(description).read_text()), named))


if __name__ == "__main__":
    main(*sys.argv[1:])
