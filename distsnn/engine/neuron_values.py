"""States and parameters of a rank's neurons in the user's units, read and set between run calls."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.update import SUB_STEPS
from distsnn.engine.local_neurons import Floats, LocalNeurons, Slots
from distsnn.engine.sub_expressions import sampled_states, sub_expression
from distsnn.network import Distribution, Value

Parameters = dict[str, Floats]
_ALL = slice(None)


def read_state(
    neurons: LocalNeurons, variable: str, slots: Slots
) -> npt.NDArray[np.float64 | np.int64]:
    """Return a copy of a state variable, or a sub-expression, of some of a rank's neurons.

    Parameters
    ----------
    neurons : LocalNeurons
        A population's neurons on this rank.
    variable : str
        The state variable or sub-expression.
    slots : slice or ndarray of int, shape (n,)
        Which of them.

    Returns
    -------
    ndarray of float64 (int64 if it is a count), shape (n,)
    """
    if variable not in neurons.states:
        model = neurons.population.model
        states = {
            state: read_state(neurons, state, slots).astype(np.float64)
            for state in sampled_states(model, [variable])
        }
        return sub_expression(neurons, variable, states, slots).astype(np.float64)
    stored = neurons.states[variable][slots]
    if neurons.population.model.states[variable].integer:
        return stored.astype(np.int64)
    return stored.astype(np.float64) + neurons.offset(variable, slots)


def write_state(
    neurons: LocalNeurons, variable: str, slots: Slots, value: Value, *, step: int, seed: int
) -> None:
    """Set a state variable of some of a rank's neurons.

    Draws are keyed by the seed, the neuron, the variable and the step; at step 0 they equal the
    draws of initial values. A value equal to what `read_state` returns leaves the
    state unchanged: the sum of a state near zero and its offset may have lost bits, which the
    difference would not restore.

    Parameters
    ----------
    neurons, variable, slots
        As in `read_state`.
    value : float, ndarray of float64 (n,) or Distribution
        What can be kept in the variable's type.
    step, seed : int
        The step, and the run's seed.
    """
    if isinstance(value, Distribution):
        value = neurons.draws(variable, value, slots, step=step, seed=seed)
    stored = neurons.states[variable]
    new = neurons.to_stored(variable, value, slots)
    stored[slots] = np.where(value == read_state(neurons, variable, slots), stored[slots], new)


def read_parameter(neurons: LocalNeurons, name: str, slots: Slots) -> Floats:
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
    values = read_parameter(neurons, name, _ALL)
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


def change_parameters(
    neurons: LocalNeurons, parameters: Parameters, changed: Iterable[str]
) -> None:
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
        (variable, state.relative_to, read_state(neurons, variable, _ALL))
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
