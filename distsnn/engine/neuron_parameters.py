"""A rank's neuron parameters in the user's units: read, and set between two `run` calls."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from distsnn.codegen.update import SUB_STEPS
from distsnn.engine import neuron_states
from distsnn.engine.local_neurons import Floats, LocalNeurons, Slots
from distsnn.network import Distribution, Value

Parameters = dict[str, Floats]
_ALL = slice(None)


def read(neurons: LocalNeurons, name: str, slots: Slots) -> Floats:
    """Return a copy of a parameter of some of a rank's neurons: float64, one value for each."""
    return np.broadcast_to(neurons.parameters[name], neurons.neurons.shape)[slots].copy()


def with_value(
    neurons: LocalNeurons,
    name: str,
    slots: Slots,
    value: Value,
    *,
    is_whole: bool,
    step: int,
    seed: int,
) -> Parameters:
    """Return a population's parameters with a new value of one, which is not set yet.

    Parameters
    ----------
    neurons : LocalNeurons
        A population's neurons on this rank.
    name : str
        The parameter.
    slots : slice or ndarray of int, shape (n,)
        Which of them get the value.
    value : float, ndarray of float64 (n,) or Distribution
        An allowed value. Draws are keyed by seed, neuron, parameter and step; at step 0 they
        equal the draws of the description.
    is_whole : bool
        Whether it is for the whole population: one number stays one number.
    step, seed : int
        The step, and the run's seed.
    """
    if is_whole and isinstance(value, float):
        return neurons.parameters | {name: np.asarray(value)}
    if isinstance(value, Distribution):
        value = neurons.draws(name, value, slots, step=step, seed=seed)
    values = read(neurons, name, _ALL)
    values[slots] = value
    return neurons.parameters | {name: values}


def set_substeps(parameters: Parameters, parts: int) -> set[str]:
    """Set the substeps among parameters that are not set yet; return the names that were changed.

    Parameters
    ----------
    parameters : dict of str to ndarray of float64
        All parameters of a population.
    parts : int
        The number that the model chooses for them.
    """
    if SUB_STEPS not in parameters or int(parameters[SUB_STEPS]) == parts:
        return set()
    parameters[SUB_STEPS] = np.asarray(float(parts))
    return {SUB_STEPS}


def change(neurons: LocalNeurons, parameters: Parameters, changed: Iterable[str]) -> None:
    """Set a population's parameters. States stay as they are in the user's units.

    Parameters
    ----------
    neurons : LocalNeurons
        A population's neurons on this rank.
    parameters : dict of str to ndarray of float64
        All parameters.
    changed : iterable of str
        Those that are new.
    """
    before, changed = neurons.parameters, set(changed)
    moved: list[tuple[str, str, Any]] = [
        (variable, state.relative_to, neuron_states.read_state(neurons, variable, _ALL))
        for variable, state in neurons.population.model.states.items()
        if state.relative_to in changed
    ]
    neurons.parameters = parameters
    for variable, offset, values in moved:
        # a state whose offset is as before keeps its bits
        same = before[offset] == parameters[offset]
        stored = neurons.states[variable]
        stored[:] = np.where(same, stored, neurons.to_stored(variable, values))
    neurons.changed |= changed
