"""Documentation of a model, made from its description: the end of what ``help(MODEL)`` shows.

The sections are numpydoc's. What a class says by itself, it does not say again in its docstring.
"""

import inspect

from distsnn.network.checks import ANY
from distsnn.network.model import Model, Parameter


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
        for name, known in parameters.items():
            lines += [f"{name} : {_kind(known, defaults[name])}", f"    {known.doc}"]
    if model.states:
        lines += ["", "Notes", "-----", "State variables:", ""]
        lines += [f"- {name} ({state.unit}): {state.doc}" for name, state in model.states.items()]
    return "\n".join([*lines, ""])


def _kind(known: Parameter, default: object) -> str:
    """Return a parameter's type, unit, range and default, as numpydoc writes them."""
    kind = "int" if known.integer else "float, array_like or Distribution"
    about = [kind, known.unit]
    about += [] if known.allowed == ANY else [str(known.allowed)]
    about += ["multiple of dt"] if known.on_grid else []
    return ", ".join([*about, f"default {default}"])
