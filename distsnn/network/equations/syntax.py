"""Expressions: read by Python's parser, and limited to the constructs of this module."""

import ast
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from distsnn.network.equations.source import EquationError, EquationText, Span, unknown_at

# Functions of one argument in `kernels.equations.elementary`, and those that round.
ELEMENTARY = (
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("expm1", "log10", "log1p", "sign"),
)
ROUNDING = ("floor", "ceil")
# What may be called, with the least and largest number of arguments.
FUNCTIONS = {
    "exp": (1, 1),
    "exprel": (1, 1),
    "log": (1, 1),
    "sqrt": (1, 1),
    "erf": (1, 1),
    **dict.fromkeys((*ELEMENTARY, *ROUNDING), (1, 1)),
    "lower_gamma": (2, 2),
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
# Lower incomplete gamma function of parameters, in synapse models with states of sources.
LOWER_GAMMA = "lower_gamma"
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
class NumberNode:
    """A number in a text."""

    value: float
    span: Span


@dataclass(frozen=True)
class NameNode:
    """A name in a text."""

    name: str
    span: Span


@dataclass(frozen=True)
class Operation:
    """A function, operator, comparison or logical word with its arguments."""

    function: str
    arguments: tuple["Node", ...]
    span: Span


Node: TypeAlias = NumberNode | NameNode | Operation


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


def name_nodes(node: Node) -> list[NameNode]:
    """Return the names in an expression with their places, in the order of the text."""
    if isinstance(node, NameNode):
        return [node]
    if isinstance(node, Operation):
        return [name for argument in node.arguments for name in name_nodes(argument)]
    return []


def names_in(node: Node) -> list[str]:
    """Return the names in an expression, in the order of the text."""
    return [name.name for name in name_nodes(node)]


def check_text(source: EquationText) -> None:
    """Check that a text is not endless, plain ASCII but for comments, and closes parentheses.

    Raises
    ------
    EquationError
        If not.
    """
    if len(source.text) > _LONGEST:
        raise EquationError(f"longer than {_LONGEST} characters", Span(source, _LONGEST, _LONGEST))
    opened = []
    for position, character in enumerate(source.code):
        span = Span(source, position, position + 1)
        if not (character.isprintable() and character.isascii()) and character not in "\n\t":
            raise EquationError(
                f"the character {character!r} is not allowed", span, allowed="ASCII"
            )
        if character == "(":
            opened.append(span)
        elif character == ")":
            if not opened:
                raise EquationError("this parenthesis was never opened", span)
            opened.pop()
    if opened:
        raise EquationError("this parenthesis is never closed", opened[0])


def parse(span: Span) -> Node:
    """Read an expression.

    Raises
    ------
    EquationError
        If it is none, or holds something that is not known here.
    """
    blank = len(span.text) - len(span.text.lstrip())
    span = Span(span.source, span.start + blank, span.start + max(blank, len(span.text.rstrip())))
    if not span.text:
        raise EquationError("an expression is missing", span)
    endless = _ENDLESS.search(span.text)
    if endless is not None:  # in Python's words it would be a matter of Python's limits
        start, stop = (span.start + offset for offset in endless.span())
        raise EquationError("the number is too large", Span(span.source, start, stop))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on Python, such as `1 is 1`
            # in parentheses an expression may continue on the next line
            tree = ast.parse(f"({span.text}\n)", mode="eval")
    except SyntaxError as error:
        place = _Reader(span).position(error.lineno or 1, (error.offset or 1) - 1)
        raise EquationError(
            f"cannot be read: {error.msg}", Span(span.source, place, min(place + 1, span.stop))
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise EquationError("cannot be read: nested too deeply", span) from error
    return _Reader(span).node(tree.body, _DEEPEST)


class _Reader:
    """Turns Python's tree of an expression into nodes with their places."""

    def __init__(self, span: Span) -> None:
        self._at = span
        # where the lines of the tree begin; the first had a parenthesis put before it
        ends = (match.end() for match in re.finditer("\n", span.text))
        self._starts = [span.start - 1, *(span.start + end for end in ends)]

    def position(self, line: int, column: int) -> int:
        """Return the position in the source of a line (from 1) and column (from 0) of the tree."""
        line = min(line, len(self._starts))
        return min(max(self._starts[line - 1] + column, self._at.start), self._at.stop)

    def span(self, tree: ast.expr) -> Span:
        start = self.position(tree.lineno, tree.col_offset)
        stop = self.position(tree.end_lineno or tree.lineno, tree.end_col_offset or 0)
        return Span(self._at.source, start, stop)

    def node(self, tree: ast.expr, depth: int) -> Node:
        span = self.span(tree)
        if depth == 0:
            raise EquationError("nested too deeply", span)

        def inner(part: ast.expr) -> Node:
            return self.node(part, depth - 1)

        match tree:
            case ast.Constant(value=bool() | None):
                pass
            case ast.Constant(value=int() | float() as value):
                return _number(value, span)
            case ast.Name(id=name):
                return NameNode(name, span)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return inner(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _folded("neg", (inner(operand),), span)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Operation("not", (inner(operand),), span)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._chain(tree, depth - 1, (ast.Add, ast.Sub), _added)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._chain(tree, depth - 1, (ast.Mult, ast.Div), _multiplied)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _folded(_BINARY[type(op)], (inner(left), inner(right)), span)
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                return Operation(word, tuple(map(inner, values)), span)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return Operation("where", (inner(test), inner(body), inner(orelse)), span)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                return Operation(_COMPARED[type(op)], (inner(left), inner(right)), span)
            case ast.Compare(ops=[_, _, *_]):
                raise EquationError("write a < b and b < c for a < b < c", span)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                if name not in FUNCTIONS:
                    raise unknown_at("function", name, [*FUNCTIONS], self.span(tree.func))
                min_arguments, max_arguments = FUNCTIONS[name]
                if not min_arguments <= len(arguments) <= max_arguments:
                    is_fixed = min_arguments == max_arguments
                    count = f"{min_arguments}" + ("" if is_fixed else f" to {max_arguments}")
                    raise EquationError(f"{name} takes this number of arguments: {count}", span)
                if name == INPUT:
                    return NameNode(input_name(self._receptor(arguments[0])), span)
                return _called(name, tuple(map(inner, arguments)), span)
        parts = [tree, *(getattr(tree, "ops", None) or [getattr(tree, "op", None)])]
        kinds = [type(part) for part in parts]
        construct = next((_REFUSED[kind] for kind in kinds if kind in _REFUSED), "this")
        raise EquationError(
            f"{construct} cannot be used in equations",
            span,
            allowed="numbers, names, + - * / **, comparisons, a if condition else b, "
            + ", ".join((*LOGIC, *FUNCTIONS)),
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
        span = self.span(tree)
        while isinstance(tree, ast.BinOp) and isinstance(tree.op, operators):
            links.append((tree.op, tree.right, self.span(tree)))
            tree = tree.left
        depth -= sum(isinstance(op, ast.Div) for op, _, _ in links[1:])
        if depth <= 0:
            raise EquationError("nested too deeply", span)
        node = self.node(tree, depth)
        for op, right, span in reversed(links):
            node = joined(node, _BINARY[type(op)], self.node(right, depth), span)
        return node


def _added(left: Node, sign: str, right: Node, span: Span) -> Node:
    """Return a sum or difference; a term added to a sum becomes one of its terms."""
    if not (isinstance(left, Operation) and left.function in ("+", "-")):
        return _folded(sign, (left, right), span)
    first, *others = left.arguments
    if left.function == "-":
        others = [_folded("neg", (term,), term.span) for term in others]
    term = right if sign == "+" else _folded("neg", (right,), right.span)
    return Operation("+", (first, *others, term), span)


def _multiplied(left: Node, sign: str, right: Node, span: Span) -> Node:
    """Return a product or quotient; what a product is multiplied by becomes one of its factors."""
    if sign == "*" and isinstance(left, Operation) and left.function == "*":
        return Operation("*", (*left.arguments, right), span)
    return _folded(sign, (left, right), span)


def _number(value: float, span: Span) -> NumberNode:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EquationError("the number is too large", span)
    return NumberNode(number, span)


def _called(name: str, arguments: tuple[Node, ...], span: Span) -> Operation:
    """Return a call of a function, which must have a value where its argument is a number."""
    function = getattr(math, name.replace("arc", "a"), None)
    if function is not None and isinstance(arguments[0], NumberNode):
        try:
            function(arguments[0].value)
        except (ValueError, OverflowError):
            problem = f"{name}({arguments[0].value:g}) is not a finite real number"
            raise EquationError(problem, span) from None
    return Operation(name, arguments, span)


def _folded(function: str, arguments: tuple[Node, ...], span: Span) -> Node:
    """Return an operation, or its result where it is one of numbers."""
    values = [argument.value for argument in arguments if isinstance(argument, NumberNode)]
    if len(values) < len(arguments):
        return Operation(function, arguments, span)
    try:
        result = _OPERATIONS[function](*values)
    except (ZeroDivisionError, OverflowError) as error:
        raise EquationError(f"not a number: {error}", span) from None
    if isinstance(result, complex):
        raise EquationError("a fractional power of a negative number is not a real number", span)
    return _number(result, span)
