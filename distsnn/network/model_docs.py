"""Documentation of a model, made from its description: the end of what ``help(MODEL)`` shows.

The sections are numpydoc's. Docstrings of classes do not repeat their declarations.
"""

import inspect

from distsnn.network.checks import ANY
from distsnn.network.model import Model, Neuron, Parameter


def documentation(model: type[Model], text: str) -> str:
    """Return a class's docstring with its equations, parameters and state variables appended.

    Parameters
    ----------
    model : type of Model
        The class.
    text : str
        Its docstring.
    """
    lines = [inspect.cleandoc(text)]
    equations = model.equation_lines()
    if equations:
        lines += ["", "Equations::", "", *(f"    {line}" for line in equations)]
    parameters = model.parameters()
    if parameters:
        defaults = {name: getattr(model, name) for name in parameters}
        lines += ["", "Parameters", "----------"]
        for name, parameter in parameters.items():
            lines += [f"{name} : {_kind(parameter, defaults[name])}", f"    {parameter.doc}"]
    if model.states:
        lines += ["", "Notes", "-----", "State variables:", ""]
        lines += [f"- {name} ({state.unit}): {state.doc}" for name, state in model.states.items()]
    found = model.readable() if issubclass(model, Neuron) else {}
    following = {name: value for name, value in found.items() if name not in model.states}
    if following:
        lines += ["", "Sub-expressions that are recorded and read:", ""]
        lines += [f"- {name} ({value.unit}): {value.doc}" for name, value in following.items()]
    return "\n".join([*lines, ""])


def _kind(parameter: Parameter, default: object) -> str:
    """Return a parameter's type, unit, range and default, as numpydoc writes them."""
    kind = "int" if parameter.integer else "float, array_like or Distribution"
    parts = [kind, parameter.unit]
    parts += [] if parameter.allowed == ANY else [str(parameter.allowed)]
    parts += ["multiple of dt"] if parameter.multiple_of_dt else []
    return ", ".join([*parts, f"default {default}"])
