"""A rank's state variables in the user's units: read, and set between two runs."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.local_neurons import LocalNeurons, Slots
from distsnn.engine.sub_expressions import sampled_states, sub_expression
from distsnn.network import Distribution, Value


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
        Loops done, and the run's seed.
    """
    if isinstance(value, Distribution):
        value = neurons.draws(variable, value, slots, step=step, seed=seed)
    stored = neurons.states[variable]
    new = neurons.to_stored(variable, value, slots)
    stored[slots] = np.where(value == read_state(neurons, variable, slots), stored[slots], new)
