"""Values of sub-expressions, such as synaptic currents, from states and parameters of neurons."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.local_neurons import Floats, LocalNeurons, Slots
from distsnn.kernels.equations import elementary
from distsnn.kernels.functions import (
    checked_log_array,
    erf_array,
    exp_array,
    exprel_array,
)
from distsnn.network import EquationNeuron, Neuron
from distsnn.network.equations.dimensions import UNITS
from distsnn.network.equations.dynamics import STEP_LENGTH, Dynamics
from distsnn.network.equations.evaluation import FUNCTIONS, evaluate
from distsnn.network.equations.syntax import ELEMENTARY


def _power(base: Any, exponent: Any) -> Any:
    """Return a power as kernels compute it: by products if the exponent is a written integer."""
    # parameters are arrays: where one is the same for all neurons must not matter
    if np.ndim(exponent) or float(exponent) % 1.0 not in (0.0, 0.5):
        return np.where(exponent == 0.0, 1.0, exp_array(exponent * checked_log_array(base)))
    if float(exponent) % 1.0:
        base, exponent = np.sqrt(base), 2.0 * exponent
    product, left = np.float64(1.0), abs(int(exponent))
    while left:
        product = product * base if left % 2 else product
        base, left = base * base, left // 2
    return product if exponent >= 0.0 else 1.0 / product


# numpy's functions may give an element other bits at another position of an array
_FUNCTIONS = FUNCTIONS | {
    "exp": exp_array,
    "exprel": exprel_array,
    "log": checked_log_array,
    "erf": erf_array,
    **{name: getattr(elementary, f"{name}_array") for name in ELEMENTARY},
    "**": _power,
}


def sampled_states(model: Neuron, variables: Iterable[str]) -> tuple[str, ...]:
    """Return the state variables from which the values of some variables are computed.

    Parameters
    ----------
    model : Neuron
        The model.
    variables : iterable of str
        State variables and sub-expressions.
    """
    needed: dict[str, None] = {}
    for name in variables:
        if name in model.states:
            needed[name] = None
        else:
            # a sub-expression of parameters alone is sampled with the first state
            dynamics = _dynamics(model)
            needed |= dict.fromkeys(dynamics.states_of(name) or [*dynamics.states][:1])
    return tuple(needed)


def sub_expression(
    neurons: LocalNeurons, name: str, states: Mapping[str, Floats], slots: Slots
) -> npt.NDArray[Any]:
    """Return the values of a sub-expression of some of a rank's neurons.

    They have the same bits for any division of the neurons and of the rows.

    Parameters
    ----------
    neurons : LocalNeurons
        A population's neurons on this rank.
    name : str
        The sub-expression.
    states : mapping of str to ndarray of float64, shape (..., n)
        Values of the state variables of `sampled_states`, in the user's units.
    slots : slice or ndarray of int, shape (n,)
        Which of the neurons.

    Returns
    -------
    ndarray, shape (..., n)
        In the sub-expression's unit, and in the type of the population's real states.
    """
    dynamics = _dynamics(neurons.population.model)
    scales = {used: 10.0 ** float(unit.tens) for used, unit in dynamics.units.items()}
    values: dict[str, Any] = {name: 10.0 ** float(unit.tens) for name, unit in UNITS.items()}
    values |= {used: scale * states[used] for used, scale in scales.items() if used in states}
    for used in scales.keys() & neurons.parameters.keys():
        parameter = neurons.parameters[used]
        selected = parameter[slots] if parameter.ndim else np.atleast_1d(parameter)
        values[used] = scales[used] * selected
    values[STEP_LENGTH] = neurons.dt
    nodes = {used: definition.value for used, definition in dynamics.derived.items()}
    with np.errstate(all="ignore"):
        result = evaluate(nodes[name], values, nodes, _FUNCTIONS) / scales[name]
        real = np.asarray(result).astype(neurons.real)
    shape = next(iter(states.values())).shape
    return np.broadcast_to(real, shape)


def _dynamics(model: Neuron) -> Dynamics:
    assert isinstance(model, EquationNeuron)
    dynamics: Dynamics = model.model.dynamics
    return dynamics
