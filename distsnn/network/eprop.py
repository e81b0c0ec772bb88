"""Neurons for e-prop with other surrogate gradients than the built-in one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from distsnn.errors import unknown_name_error
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronModel
from distsnn.network.neurons.eprop_iaf import EpropIaf
from distsnn.network.registry import neuron_function
from distsnn.network.values import ValueLike

_BUILT_IN = "piecewise_linear"  # of `EpropIaf`
# What the surrogate gradient is of the distance from the threshold, in widths, by NEST's names.
SURROGATE_GRADIENTS: Mapping[str, str] = MappingProxyType(
    {
        "piecewise_linear": "max(1 - distance, 0)",
        "exponential": "exp(-distance)",
        "fast_sigmoid_derivative": "1/(1 + distance)**2",
        "arctan_derivative": "1/(1 + distance**2)",
    }
)


@neuron_function(
    EpropIaf.peers,
    ({"surrogate_gradient": name} for name in SURROGATE_GRADIENTS if name != _BUILT_IN),
    surrogate_gradient="exponential",
)
def eprop_iaf(surrogate_gradient: str = _BUILT_IN, **parameters: ValueLike) -> EquationNeuron:
    """Return neurons for e-prop with a surrogate gradient of choice.

    Their equations are the equations of `EpropIaf`. With d the distance of V_m from V_th in units
    of surrogate_gradient_width, the surrogate gradient is surrogate_gradient_height times

    - ``"piecewise_linear"``: max(0, 1 - d) (Bellec et al. 2020),
    - ``"exponential"``: exp(-d) (Shrestha & Orchard 2018),
    - ``"fast_sigmoid_derivative"``: 1/(1 + d)² (Zenke & Ganguli 2018),
    - ``"arctan_derivative"``: 1/(1 + d²) (Fang et al. 2021).

    Parameters
    ----------
    surrogate_gradient : str
        One of these functions, which are NEST's.
    **parameters : float, array_like (n,) or Distribution
        Parameters of `EpropIaf`, where they differ from its defaults.

    Raises
    ------
    DescriptionError
        If the function or parameter does not exist.
    """
    if surrogate_gradient not in SURROGATE_GRADIENTS:
        where = "eprop_iaf, surrogate_gradient"
        raise unknown_name_error("function", surrogate_gradient, SURROGATE_GRADIENTS, where=where)
    if surrogate_gradient == _BUILT_IN:
        specs: Mapping[str, Any] = parameters
        return EpropIaf(**specs)
    text = EpropIaf.equations
    shape = SURROGATE_GRADIENTS[surrogate_gradient]
    model = NeuronModel(
        text.equations.replace(SURROGATE_GRADIENTS[_BUILT_IN], shape),
        threshold=text.threshold,
        reset=text.reset,
        events=text.events,
        receptors=text.receptors,
        initial=text.initial,
        parameters={
            name: (getattr(EpropIaf, name), parameter.unit, str(parameter.allowed))
            for name, parameter in EpropIaf.parameters().items()
        },
        name="eprop_iaf",
    )
    return model(**parameters)
