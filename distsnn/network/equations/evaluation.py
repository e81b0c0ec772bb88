"""Values of expressions in float64, without compiling them: of numbers, or of arrays by element."""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from distsnn.network.equations.syntax import ELEMENTARY, ROUNDING, NameNode, Node, NumberNode

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exprel": lambda x: np.where(x == 0.0, 1.0, np.expm1(x) / x),
    "log": np.log,
    "sqrt": np.sqrt,
    "erf": math.erf,  # of numbers only
    **{name: getattr(np, name) for name in (*ELEMENTARY, *ROUNDING)},
    "abs": abs,
    "min": lambda *arguments: reduce(np.minimum, arguments),
    "max": lambda *arguments: reduce(np.maximum, arguments),
    "clip": np.clip,
    "where": np.where,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "and": lambda *arguments: reduce(np.logical_and, arguments),
    "or": lambda *arguments: reduce(np.logical_or, arguments),
    "not": np.logical_not,
    "neg": np.negative,
    "+": lambda *arguments: sum(arguments),
    "*": lambda *arguments: reduce(np.multiply, arguments),
    "-": np.subtract,
    "/": np.divide,
    "**": np.float_power,
    # of random numbers the means
    "uniform": lambda: 0.5,
    "normal": lambda: 0.0,
    "binomial": np.multiply,
    "poisson": np.positive,
}


def evaluate(
    node: Node,
    values: Mapping[str, Any],
    derived: Mapping[str, Node],
    functions: Mapping[str, Callable[..., Any]] = FUNCTIONS,
) -> Any:
    """Return the value of an expression; where it is undefined, NaN or an infinity.

    Parameters
    ----------
    node : Node
        The expression.
    values : mapping of str to float or ndarray of float64
        Values of variables, parameters and units, all in products of the same base units.
    derived : mapping of str to Node
        Sub-expressions by name.
    functions : mapping of str to callable
        What functions and operators compute.
    """
    cache: dict[str, Any] = {}

    def value_of(node: Node) -> Any:
        match node:
            case NumberNode(value=value):
                return np.float64(value)
            case NameNode(name=name):
                # each sub-expression once, however many others use it
                if name not in cache:
                    cache[name] = (
                        value_of(derived[name]) if name in derived else np.float64(values[name])
                    )
                return cache[name]
        return functions[node.function](*map(value_of, node.arguments))

    with np.errstate(all="ignore"):
        return value_of(node)
