"""Expressions: read by Python's parser, of whose trees only what is known here passes on."""

import ast
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from distsnn.network.equations.source import EquationError, Source, Span, unknown_at

# What may be called, with the least and largest number of arguments.
FUNCTIONS = {
    "exp": (1, 1),
    "exprel": (1, 1),
    "log": (1, 1),
    "sqrt": (1, 1),
    "erf": (1, 1),
    "abs": (1, 1),
    "min": (2, 9),
    "max": (2, 9),
    "clip": (3, 3),
    "where": (3, 3),
    "uniform": (0, 0),
    "normal": (0, 0),
    "binomial": (2, 2),
    "poisson": (1, 1),
    "previous": (1, 1),
    "input": (1, 1),
    "delayed": (2, 2),
}
# Of these each occurrence in a text is a random number for each neuron and step, or for each
# synapse and spike of its source.
RANDOM = ("uniform", "normal", "binomial", "poisson")
# Value of a state variable at the start of the step.
PREVIOUS = "previous"
# State of the target of a synapse some time ago.
DELAYED = "delayed"
# Sum of the weights that arrive at a receptor in the step.
INPUT = "input"
COMPARISONS = ("<", "<=", ">", ">=")
LOGIC = ("and", "or", "not")

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
_REFUSED = {
    ast.Attribute: "attributes",
    ast.Lambda: "lambda",
    ast.Subscript: "indices",
    ast.IfExp: "`a if condition else b` (write where(condition, a, b))",
    ast.BitXor: "^ (write ** for a power)",
    ast.Eq: "== (real numbers are compared with <, <=, >, >=)",
    ast.NotEq: "!= (real numbers are compared with <, <=, >, >=)",
}
_LONGEST, _DEEPEST = 20_000, 60
# A whole number that no float can be.
_ENDLESS = re.compile(r"(?<![\w.])[1-9][0-9]{309,}(?![\w.])", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Number:
    """A number in a text."""

    value: float
    at: Span


@dataclass(frozen=True)
class Name:
    """A name in a text."""

    name: str
    at: Span


@dataclass(frozen=True)
class Apply:
    """A function, operator, comparison or logical word with its arguments."""

    function: str
    arguments: tuple["Node", ...]
    at: Span


Node: TypeAlias = Number | Name | Apply


def is_word(text: object) -> bool:
    """Return whether a text is an ASCII identifier."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_label(text: object) -> bool:
    """Return whether a text may name a receptor: ASCII letters, digits and underscores."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def is_name(text: object) -> bool:
    """Return whether a text may name a variable: a word, and none of the language."""
    return (
        isinstance(text, str)
        and is_word(text)
        and not keyword.iskeyword(text)
        and text not in FUNCTIONS
    )


def input_name(receptor: str) -> str:
    """Return the name of a receptor's input in expressions, which no variable can have."""
    return f"{INPUT}({receptor})"


def check_text(source: Source) -> None:
    """Check that a text is not endless, plain ASCII but for comments, and closes parentheses.

    Raises
    ------
    EquationError
        If not.
    """
    if len(source.text) > _LONGEST:
        raise EquationError(f"longer than {_LONGEST} characters", Span(source, _LONGEST, _LONGEST))
    opened = []
    for position, one in enumerate(source.code):
        at = Span(source, position, position + 1)
        if not (one.isprintable() and one.isascii()) and one not in "\n\t":
            raise EquationError(f"the character {one!r} is not allowed", at, allowed="ASCII")
        if one == "(":
            opened.append(at)
        elif one == ")":
            if not opened:
                raise EquationError("this parenthesis was never opened", at)
            opened.pop()
    if opened:
        raise EquationError("this parenthesis is never closed", opened[0])


def parse(at: Span) -> Node:
    """Read an expression.

    Raises
    ------
    EquationError
        If it is none, or holds something that is not known here.
    """
    blank = len(at.text) - len(at.text.lstrip())
    at = Span(at.source, at.start + blank, at.start + max(blank, len(at.text.rstrip())))
    if not at.text:
        raise EquationError("an expression is missing", at)
    endless = _ENDLESS.search(at.text)
    if endless is not None:  # in Python's words it would be a matter of Python's limits
        start, stop = (at.start + one for one in endless.span())
        raise EquationError("the number is too large", Span(at.source, start, stop))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on Python, such as `1 is 1`
            # in parentheses an expression may go on on the next line
            tree = ast.parse(f"({at.text}\n)", mode="eval")
    except SyntaxError as error:
        place = _Reader(at).position(error.lineno or 1, (error.offset or 1) - 1)
        raise EquationError(
            f"cannot be read: {error.msg}", Span(at.source, place, min(place + 1, at.stop))
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise EquationError("cannot be read: nested too deeply", at) from error
    return _Reader(at).node(tree.body, _DEEPEST)


class _Reader:
    """Turns Python's tree of an expression into nodes with their places."""

    def __init__(self, at: Span) -> None:
        self._at = at
        # where the lines of the tree begin; the first had a parenthesis put before it
        ends = (found.end() for found in re.finditer("\n", at.text))
        self._starts = [at.start - 1, *(at.start + end for end in ends)]

    def position(self, line: int, column: int) -> int:
        """Return the position in the source of a line (from 1) and column (from 0) of the tree."""
        line = min(line, len(self._starts))
        return min(max(self._starts[line - 1] + column, self._at.start), self._at.stop)

    def span(self, tree: ast.expr) -> Span:
        start = self.position(tree.lineno, tree.col_offset)
        stop = self.position(tree.end_lineno or tree.lineno, tree.end_col_offset or 0)
        return Span(self._at.source, start, stop)

    def node(self, tree: ast.expr, depth: int) -> Node:
        at = self.span(tree)
        if depth == 0:
            raise EquationError("nested too deeply", at)

        def inner(part: ast.expr) -> Node:
            return self.node(part, depth - 1)

        match tree:
            case ast.Constant(value=bool() | None):
                pass
            case ast.Constant(value=int() | float() as value):
                return _number(value, at)
            case ast.Name(id=name):
                return Name(name, at)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return inner(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _folded("neg", (inner(operand),), at)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Apply("not", (inner(operand),), at)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._chain(tree, depth - 1, (ast.Add, ast.Sub), _added)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._chain(tree, depth - 1, (ast.Mult, ast.Div), _multiplied)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _folded(_BINARY[type(op)], (inner(left), inner(right)), at)
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                return Apply(word, tuple(map(inner, values)), at)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                return Apply(_COMPARED[type(op)], (inner(left), inner(right)), at)
            case ast.Compare(ops=[_, _, *_]):
                raise EquationError("write a < b and b < c for a < b < c", at)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                if name not in FUNCTIONS:
                    raise unknown_at("function", name, [*FUNCTIONS], self.span(tree.func))
                least, most = FUNCTIONS[name]
                if not least <= len(arguments) <= most:
                    count = str(least) if least == most else f"{least} to {most}"
                    raise EquationError(f"{name} takes this number of arguments: {count}", at)
                if name == INPUT:
                    return Name(input_name(self._receptor(arguments[0])), at)
                return Apply(name, tuple(map(inner, arguments)), at)
        parts = [tree, *(getattr(tree, "ops", None) or [getattr(tree, "op", None)])]
        kinds = [type(part) for part in parts]
        what = next((_REFUSED[kind] for kind in kinds if kind in _REFUSED), "this")
        raise EquationError(
            f"{what} cannot be used in equations",
            at,
            allowed=f"numbers, names, + - * / **, comparisons, {', '.join((*LOGIC, *FUNCTIONS))}",
        )

    def _receptor(self, tree: ast.expr) -> str:
        match tree:
            case ast.Name(id=name) | ast.Constant(value=str(name)):
                return name
        raise EquationError(
            f"{INPUT}() takes the name of a receptor",
            self.span(tree),
            allowed="such as ex, or 'in' and '2' in quotes, which are no names by themselves",
        )

    def _chain(
        self,
        tree: ast.expr,
        depth: int,
        operators: tuple[type[ast.operator], ...],
        joined: Callable[[Node, str, Node, Span], Node],
    ) -> Node:
        """Read a chain of + and -, or of * and /, which Python nests, as one sum or product.

        However long it is, it is not deep, but for divisions: each has the chain before it on top.
        """
        links = []
        at = self.span(tree)
        while isinstance(tree, ast.BinOp) and isinstance(tree.op, operators):
            links.append((tree.op, tree.right, self.span(tree)))
            tree = tree.left
        depth -= sum(isinstance(op, ast.Div) for op, _, _ in links[1:])
        if depth <= 0:
            raise EquationError("nested too deeply", at)
        found = self.node(tree, depth)
        for op, right, at in reversed(links):
            found = joined(found, _BINARY[type(op)], self.node(right, depth), at)
        return found


def _added(left: Node, sign: str, right: Node, at: Span) -> Node:
    """Return a sum or difference; what is added to a sum becomes one of its terms."""
    if not (isinstance(left, Apply) and left.function in ("+", "-")):
        return _folded(sign, (left, right), at)
    first, *rest = left.arguments
    if left.function == "-":
        rest = [_folded("neg", (one,), one.at) for one in rest]
    term = right if sign == "+" else _folded("neg", (right,), right.at)
    return Apply("+", (first, *rest, term), at)


def _multiplied(left: Node, sign: str, right: Node, at: Span) -> Node:
    """Return a product or quotient; what a product is multiplied by becomes one of its factors."""
    if sign == "*" and isinstance(left, Apply) and left.function == "*":
        return Apply("*", (*left.arguments, right), at)
    return _folded(sign, (left, right), at)


def _number(value: float, at: Span) -> Number:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EquationError("the number is too large", at)
    return Number(number, at)


def _folded(function: str, arguments: tuple[Node, ...], at: Span) -> Node:
    """Return an operation, or its result where it is one of numbers."""
    values = [one.value for one in arguments if isinstance(one, Number)]
    if len(values) < len(arguments):
        return Apply(function, arguments, at)
    try:
        result = _OPERATIONS[function](*values)
    except (ZeroDivisionError, OverflowError) as error:
        raise EquationError(f"not a number: {error}", at) from None
    if isinstance(result, complex):
        raise EquationError("a negative number to a fractional power is no number", at)
    return _number(result, at)
