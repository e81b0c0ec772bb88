"""Values of expressions in float64, without compiling them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distsnn.network.equations.syntax import NameNode, Node, NumberNode

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exprel": lambda x: np.expm1(x) / x if x else 1.0,
    "log": np.log,
    "sqrt": np.sqrt,
    "erf": math.erf,
    "abs": abs,
    "min": min,
    "max": max,
    "clip": np.clip,
    "where": lambda condition, yes, no: yes if condition else no,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "and": lambda *arguments: all(arguments),
    "or": lambda *arguments: any(arguments),
    "not": lambda arguments: not arguments,
    "neg": np.negative,
    "+": lambda *arguments: sum(arguments),
    "*": lambda *arguments: np.prod(arguments),
    "-": np.subtract,
    "/": np.divide,
    "**": np.float_power,
    # of random numbers the means
    "uniform": lambda: 0.5,
    "normal": lambda: 0.0,
    "binomial": np.multiply,
    "poisson": np.positive,
}


def evaluate(node: Node, values: Mapping[str, Any], derived: Mapping[str, Node]) -> Any:
    """Return the value of an expression; where it is undefined, NaN or an infinity.

    Parameters
    ----------
    node : Node
        The expression.
    values : mapping of str to float
        Values of variables, parameters and units, all in products of the same base units.
    derived : mapping of str to Node
        Sub-expressions by name.
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
        return _FUNCTIONS[node.function](*map(value_of, node.arguments))

    with np.errstate(all="ignore"):
        return value_of(node)
