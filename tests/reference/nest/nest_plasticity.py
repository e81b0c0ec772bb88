#!/usr/bin/env python3
"""Let synapses learn in NEST from given spikes: the oracle that distsnn's weights are held to.

    $DISTSNN_NEST_PYTHON nest_plasticity.py DESCRIPTION.json ARRAYS.npz RESULT.npz

NEST is GPL: this script runs it in a process and an environment of its own, and nothing of
distsnn or its tests imports it. Times are integers in steps.

DESCRIPTION
    ``resolution``   step, ms (0.1 if missing)
    ``steps``        how many steps to simulate
    ``model``        NEST's synapse model
    ``parameters``   its parameters
    ``neuron``       parameters of the targets: of NEST's rules some are the target's
    ``target``       model of the targets; parrots, which spike when told, if missing
    ``drive``        weight and delay (steps) with which given spikes reach other targets
    ``state``        variables of such targets to record in every step

ARRAYS (those that are missing are empty)
    ``pre_neuron``, ``pre_step``     spikes of the sources 0, 1, ..., at the step (> 1)
    ``post_neuron``, ``post_step``   of the targets, or to them, where these are no parrots
    ``synapse_source``, ``_target``, ``_weight``, ``_delay`` (steps); one for a pair
    ``modulator_step``               spikes of one modulating neuron, where the model has a
    ``modulator_delay``              volume transmitter, and the steps until they act, shape ()

RESULT
    ``synapse``, ``step``, ``weight``   after every spike of its source, in this order
    ``spike_neuron``, ``spike_step``    spikes of the targets
    one array per variable              float64, shape (steps, number of targets)
    ``version``                         NEST's
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from nest_run import in_steps

os.environ.setdefault("PYNEST_QUIET", "1")


def told(nest, neuron, step, size, resolution, targets=None, **how):
    """Create neurons that spike when told; or let given ones receive such spikes."""
    parrots = nest.Create("parrot_neuron", size)
    for index in range(size):
        # a parrot passes on what a generator sends it a step later
        times = np.round((np.sort(step[neuron == index]) - 1) * resolution, 9)
        generator = nest.Create("spike_generator", params={"spike_times": times})
        nest.Connect(generator, parrots[index], syn_spec={"delay": resolution})
    if targets is not None:
        nest.Connect(parrots, targets, "one_to_one", how)
    return parrots


def transmitter(nest, arrays, resolution):
    """Create the node that hands the modulating neuron's spikes to all synapses."""
    node = nest.Create("volume_transmitter")
    step = arrays["modulator_step"]
    modulator = told(nest, np.zeros_like(step), step, 1, resolution)
    delay = float(np.round(arrays["modulator_delay"] * resolution, 9))
    nest.Connect(modulator, node, syn_spec={"delay": delay})
    return node


def run(description, arrays):
    """Simulate and return the named arrays of the result."""
    import nest

    resolution, steps = description.get("resolution", 0.1), description["steps"]
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution

    source, target = arrays["synapse_source"], arrays["synapse_target"]
    pairs = source * (target.max() + 1) + target
    if np.unique(pairs).size < pairs.size:
        raise ValueError("a pair has two synapses: their weights could not be told apart")
    n_sources, n_targets = int(source.max()) + 1, int(target.max()) + 1
    pre = told(nest, arrays["pre_neuron"], arrays["pre_step"], n_sources, resolution)
    post_spikes = arrays["post_neuron"], arrays["post_step"], n_targets, resolution
    if "target" in description:
        post = nest.Create(description["target"], n_targets)
        weight, delay = description["drive"]
        told(nest, *post_spikes, targets=post, weight=weight, delay=delay * resolution)
    else:
        post = told(nest, *post_spikes)
    post.set(description.get("neuron", {}))

    recorder = nest.Create("weight_recorder")
    # the weight comes along, since NEST checks its sign against the bound's
    weight = float(arrays["synapse_weight"][0])
    parameters = dict(description["parameters"], weight=weight, weight_recorder=recorder)
    if "modulator_step" in arrays:
        parameters["volume_transmitter"] = transmitter(nest, arrays, resolution)
    nest.CopyModel(description["model"], "learning", parameters)
    how = {
        "synapse_model": "learning",
        "weight": arrays["synapse_weight"].astype(np.float64),
        "delay": np.round(arrays["synapse_delay"] * resolution, 9),
    }
    if "target" not in description:
        how["receptor_type"] = np.ones(source.size, np.int64)  # a parrot is deaf there
    pre_ids, post_ids = np.array(pre.tolist()), np.array(post.tolist())
    nest.Connect(pre_ids[source], post_ids[target], "one_to_one", how)

    spikes = nest.Create("spike_recorder")
    nest.Connect(post, spikes)
    variables = description.get("state", [])
    if variables:
        meter = nest.Create("multimeter", params={"record_from": variables, "interval": resolution})
        nest.Connect(meter, post)

    # What is recorded arrives a communication interval late: go on a little, and cut it off.
    nest.Simulate(round(steps * resolution, 9))
    nest.Simulate(round(2 * nest.min_delay, 9))

    events = recorder.events
    found = (events["senders"] - pre_ids[0]) * n_targets + (events["targets"] - post_ids[0])
    order = np.argsort(pairs)
    synapse = order[np.searchsorted(pairs[order], found)]
    step = in_steps(events["times"], resolution)
    keep = np.lexsort((step, synapse))
    keep = keep[step[keep] <= steps]
    result = {
        "version": nest.__version__,
        "synapse": synapse[keep],
        "step": step[keep],
        "weight": events["weights"][keep],
    }
    events = spikes.events
    step, neuron = in_steps(events["times"], resolution), events["senders"] - post_ids[0]
    keep = np.lexsort((neuron, step))
    keep = keep[step[keep] <= steps]
    result |= {"spike_neuron": neuron[keep], "spike_step": step[keep]}
    if variables:
        events = meter.events
        row = in_steps(events["times"], resolution) - 1
        keep = row < steps
        for name in variables:
            result[name] = np.full((steps, n_targets), np.nan)
            result[name][row[keep], events["senders"][keep] - post_ids[0]] = events[name][keep]
    return result


def main(description, arrays, result):
    """Read the description, run it, write the result."""
    with np.load(arrays, allow_pickle=False) as given:
        named = {name: given[name] for name in given.files}
    np.savez(result, **run(json.loads(Path(description).read_text()), named))


if __name__ == "__main__":
    main(*sys.argv[1:])
