#!/usr/bin/env python3
"""Run a described network in NEST: the oracle that distsnn's spikes are compared with.

    $DISTSNN_NEST_PYTHON nest_run.py DESCRIPTION.json ARRAYS.npz RESULT.npz

NEST is GPL: this script runs it in a process and an environment of its own, and nothing of
distsnn or its tests imports it. Only numpy and nest are needed. Times are integers in steps and
neurons count from 0 through the populations, in both directions.

DESCRIPTION
    ``resolution``   step, ms (0.1 if missing)
    ``steps``        how many steps to simulate
    ``populations``  list of ``{"model", "size", "parameters"}``; the model is NEST's, one of
                     MODELS below; a parameter or initial value (``V_m``) is a number, the name
                     of an array of shape (size,), or a list or mapping (of a compartment's
                     parameters) that each neuron takes whole; ``choices`` are optional texts
    ``state``        optional ``{"variables": ["V_m", ...], "every": k}``: recorded every k steps
                     from step k on, after the step's update, for the neurons in array
                     ``state_neurons``
    ``synapses``     optional ``{"input": {...}, "edge": {...}}``: NEST's ``synapse_model`` of these
                     synapses and its parameters, each a number or the name of an array with a
                     value per synapse; given spikes then come from step 2 on
    ``current_receptor``   NEST's receptor of currents from outside, 0 if missing
    ``threads``      threads, 1 if missing

ARRAYS (those that are missing are empty)
    ``train_source``, ``train_step``   given spikes: the source 0, 1, ... emits at the step (> 0)
    ``input_*``                        synapses from those sources to neurons
    ``edge_*``                         synapses between neurons
    each with ``_source``, ``_target`` (integers), ``_weight`` (pA or mV), ``_delay`` (steps)
    ``stimulus_step``                  steps (> 1, ascending) at which currents from outside change
    ``stimulus_current``               pA, shape (n, number of neurons): what they are from then on;
                                       V_m shows it in the next step

RESULT
    ``spike_step``, ``spike_neuron``   int64, ordered by (step, neuron), 1 <= step <= steps
    ``state_step``                     int64, shape (n,)
    one array per variable             float64, shape (n, number of state_neurons)
    ``version``                        NEST's
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("PYNEST_QUIET", "1")

MODELS = (
    *("iaf_psc_exp", "iaf_psc_delta", "iaf_psc_alpha", "mat2_psc_exp", "gif_psc_exp"),
    "parrot_neuron",
    *("iaf_cond_exp", "iaf_cond_alpha", "aeif_cond_exp", "aeif_psc_exp", "hh_cond_exp_traub"),
    *("izhikevich", "aeif_psc_delta_clopath", "aeif_cond_alpha", "aeif_psc_alpha"),
    *("amat2_psc_exp", "hh_psc_alpha", "iaf_cond_exp_sfa_rr", "gif_cond_exp", "pp_psc_delta"),
    *("iaf_psc_exp_multisynapse", "iaf_psc_alpha_multisynapse"),
    *("glif_psc", "glif_psc_double_alpha"),
    *("iaf_cond_alpha_mc", "iaf_bw_2001", "pp_cond_exp_mc_urbanczik"),
    *("aeif_cond_alpha_multisynapse", "aeif_cond_beta_multisynapse"),
    "eprop_iaf",
)


def in_steps(times, resolution):
    """Convert times (ms) to steps, and insist that they are on the grid."""
    exact = np.asarray(times, dtype=np.float64) / resolution
    steps = np.rint(exact).astype(np.int64)
    if steps.size and np.abs(exact - steps).max() > 1e-6:
        raise ValueError("NEST returned times off the grid")
    return steps


class Arrays(dict):
    """Named arrays; a missing one is empty."""

    def __missing__(self, name):
        return np.zeros(0, dtype=np.int64)


def synapses(arrays, prefix, n_sources, n_targets):
    """Return (source, target, weight, delay in steps) of one kind, checked.

    NEST takes a NaN weight without a word, so the checks are here.
    """
    source, target, weight, delay = (
        arrays[f"{prefix}_{name}"] for name in ("source", "target", "weight", "delay")
    )
    if not len(source) == len(target) == len(weight) == len(delay):
        raise ValueError(f"{prefix}: arrays of different lengths")
    if len(source):
        if min(source.min(), target.min()) < 0:
            raise ValueError(f"{prefix}: negative index")
        if source.max() >= n_sources or target.max() >= n_targets:
            raise ValueError(f"{prefix}: index beyond {n_sources} sources or {n_targets} neurons")
        if not np.isfinite(weight).all():
            raise ValueError(f"{prefix}: weight not finite")
        if delay.min() < 1 or not np.issubdtype(delay.dtype, np.integer):
            raise ValueError(f"{prefix}: delays must be whole steps, at least 1")
    return source, target, weight.astype(np.float64), delay


def create_neurons(nest, populations, arrays):
    """Create all populations and return NEST's ids of all neurons, in order."""
    ids = []
    for population in populations:
        model, size = population["model"], population["size"]
        if model not in MODELS:
            raise ValueError(f"model {model!r}; allowed: {', '.join(MODELS)}")
        nodes = nest.Create(model, size, population.get("choices", {}))
        values, lists = {}, {}
        for name, value in population["parameters"].items():
            kind = lists if isinstance(value, list | bool | dict) else values
            kind[name] = arrays[value].astype(np.float64) if isinstance(value, str) else value
            numbers = [*value.values()] if isinstance(value, dict) else kind[name]
            if not np.isfinite(numbers).all():
                raise ValueError(f"parameter {name} not finite")
        # Beside arrays NEST would deal a list out, one element to a neuron. Flags say which lists
        # it takes.
        nodes.set(lists)
        # Together, since NEST checks V_reset < V_th after each set.
        nodes.set(values)
        ids += nodes.tolist()
    return np.array(ids)


def create_sources(nest, arrays, resolution, relayed):
    """Create one spike generator per given train and return their ids.

    NEST gives generators static synapses only: `relayed`, they emit a step before the train, and
    the ids are those of parrots that pass their spikes on.
    """
    source, step = arrays["train_source"], arrays["train_step"]
    if len(source) != len(step) or (len(step) and (step.min() < 1 or source.min() < 0)):
        raise ValueError("train: steps are at least 1, sources at least 0, arrays of one length")
    n_sources = int(max(source.max(initial=-1), arrays["input_source"].max(initial=-1))) + 1
    ids = []
    for index in range(n_sources):
        times = (np.sort(step[source == index]) - relayed) * resolution
        generator = nest.Create("spike_generator", params={"spike_times": np.round(times, 9)})
        if relayed:
            parrot = nest.Create("parrot_neuron")
            nest.Connect(generator, parrot, syn_spec={"delay": resolution})
            generator = parrot
        ids += generator.tolist()
    return np.array(ids, dtype=np.int64)


def connect(nest, pre, post, edges, resolution, model):
    """Create the given synapses, of a model with its parameters."""
    source, target, weight, delay = edges
    if len(source):
        how = {"weight": weight, "delay": np.round(delay * resolution, 9)} | model
        nest.Connect(pre[source], post[target], "one_to_one", how)


def stimulate(nest, neurons, arrays, resolution, receptor):
    """Give each neuron the current that is constant between given steps."""
    step, current = arrays["stimulus_step"], arrays["stimulus_current"]
    if not len(step) and not len(current):
        return
    if current.shape != (len(step), len(neurons)) or not np.isfinite(current).all():
        raise ValueError("stimulus_current must be finite, one row a step, one column a neuron")
    if step.min() < 2 or np.any(np.diff(step) <= 0):
        raise ValueError("stimulus_step must be 2 or more, ascending")
    # a generator's current needs a step to arrive
    times = np.round((step - 1) * resolution, 9)
    for neuron, values in zip(neurons.tolist(), current.T, strict=True):
        given = {"amplitude_times": times, "amplitude_values": values.astype(np.float64)}
        generator = nest.Create("step_current_generator", params=given)
        target = nest.NodeCollection([neuron])
        how = {"delay": resolution, "receptor_type": receptor}
        nest.Connect(generator, target, syn_spec=how)


def position(ids, senders):
    """Return the index into `ids` (ascending) of each sender."""
    return np.searchsorted(ids, senders)


def run(description, arrays):
    """Simulate and return the named arrays of the result."""
    import nest

    resolution, steps = description.get("resolution", 0.1), description["steps"]
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution
    nest.local_num_threads = description.get("threads", 1)

    neurons = create_neurons(nest, description["populations"], arrays)
    models = {
        prefix: {name: arrays.get(value, value) for name, value in model.items()}
        for prefix, model in description.get("synapses", {}).items()
    }
    sources = create_sources(nest, arrays, resolution, "input" in models)
    edges = synapses(arrays, "edge", len(neurons), len(neurons))
    inputs = synapses(arrays, "input", len(sources), len(neurons))
    connect(nest, neurons, neurons, edges, resolution, models.get("edge", {}))
    connect(nest, sources, neurons, inputs, resolution, models.get("input", {}))
    stimulate(nest, neurons, arrays, resolution, description.get("current_receptor", 0))

    # iaf_bw_2001 sends a gating variable in place of an offset within the step
    recorder = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(nest.NodeCollection(neurons), recorder)
    state = description.get("state")
    if state:
        watched = neurons[arrays["state_neurons"]]
        if not len(watched) or np.any(np.diff(watched) <= 0):
            raise ValueError("state_neurons must be there, ascending and unique")
        meter = nest.Create(
            "multimeter",
            params={
                "record_from": list(state["variables"]),
                "interval": round(state["every"] * resolution, 9),
            },
        )
        nest.Connect(meter, nest.NodeCollection(watched))

    # Recorded state arrives a communication interval late: go on a little, and cut it off.
    nest.Simulate(round(steps * resolution, 9))
    nest.Simulate(round(2 * nest.min_delay, 9))

    events = recorder.events
    spike_step = events["times"].astype(np.int64)
    spike_neuron = position(neurons, events["senders"])
    order = np.lexsort((spike_neuron, spike_step))
    order = order[spike_step[order] <= steps]
    result = {
        "version": nest.__version__,
        "spike_step": spike_step[order],
        "spike_neuron": spike_neuron[order],
    }
    if state:
        events = meter.events
        step, column = in_steps(events["times"], resolution), position(watched, events["senders"])
        state_step = np.arange(state["every"], steps + 1, state["every"])
        keep = step <= steps
        row = step[keep] // state["every"] - 1
        result["state_step"] = state_step
        for name in state["variables"]:
            table = np.full((len(state_step), len(watched)), np.nan)
            table[row, column[keep]] = events[name][keep]
            if np.isnan(table).any():
                raise ValueError(f"NEST did not record {name} at every step")
            result[name] = table
    return result


def main(description, arrays, result):
    """Read the description, run it, write the result."""
    with np.load(arrays, allow_pickle=False) as given:
        named = Arrays({name: given[name] for name in given.files})
    np.savez(result, **run(json.loads(Path(description).read_text()), named))


if __name__ == "__main__":
    main(*sys.argv[1:])
