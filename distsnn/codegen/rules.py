"""Writes the kernel module of a rule of plasticity that is given as equations.

The module is like those in `distsnn.kernels.plasticity`: those of built-in rules are written once,
into that package (`distsnn.codegen.built_in`). Variables have their own names in it, ``c_NAME`` is
a parameter, ``kN`` another constant, ``tN`` an intermediate value. What depends on parameters alone
is computed once, in float64; all else is computed as it is written, operation by operation.
"""

from functools import cache
from itertools import takewhile

from distsnn.codegen.expressions import (
    ARRAY_CALLS,
    ARRAY_FOLDED,
    CALLS,
    FOLDED,
    Constants,
    Names,
    bare,
    called,
)
from distsnn.codegen.modules import imports, load
from distsnn.network.equations.dimensions import UNITS
from distsnn.network.equations.plasticity import (
    MODULATOR,
    POST,
    PRE,
    SYNAPSE,
    WEIGHT,
    Plasticity,
)
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.syntax import COMPARISONS, LOGIC, Apply, Name, Node, Number

_SIGNS = {sign: f"({{}} {sign} {{}})" for sign in "-/"} | {"neg": "(-{})"}
_CHAINS = {"+": "({} + {})", "*": "({} * {})"}  # of two terms or factors or more
# Weights that rounding has moved beyond their bounds by a little, or exponents of 0, are no
# reason to fail.
_IN_KERNEL = (
    CALLS
    | _SIGNS
    | {
        "**": "bounded_power({}, {})",
        # what is no number stays none, and is found
        "clip": "bounded({}, {}, {})",
    }
)
_OF_ARRAYS = ARRAY_CALLS | _SIGNS


_FUNCTIONS = (
    *("bounded", "bounded_power", "checked_log", "checked_log_array", "exp", "exp_array", "exprel"),
    "exprel_array",
)
# Names that a module uses for something else.
_TAKEN = (
    *(
        "np",
        "inline",
        "min",
        "max",
        "abs",
        "p",
        "dt",
        "parameters",
        "constants",
        "found",
        "name",
        "one",
    ),
    *("SOURCE", "TARGET", "STATES", "DECAYS", "MODULATED", "CONSTANTS", *_FUNCTIONS),
)


@cache
def rule_of(model: PlasticityModel) -> str:
    """Return the import name of a rule's kernel module, which is written if it is missing."""
    return load(rule_text(model)).__name__


def rule_text(model: PlasticityModel, *, about: str = "Generated: do not edit.") -> str:
    """Return the text of a rule's kernel module.

    Parameters
    ----------
    model : PlasticityModel
        The rule.
    about : str
        The module's docstring. It becomes code: nothing that a user wrote may be in it.
    """
    return _Module(model.rule).text(about)


class _Module:
    """The module of one rule."""

    def __init__(self, rule: Plasticity) -> None:
        names = Names(_TAKEN)
        self.rule = rule
        self.locals = {name: names.new(name) for name in (WEIGHT, *rule.variables)}
        self.constants = Constants(names)

    def text(self, about: str) -> str:
        """Return the text of the module."""
        rule, constants = self.rule, self.constants
        groups = {flag: rule.of(flag) for flag in (PRE, POST, SYNAPSE, MODULATOR)}
        decays = {
            "m" if name in groups[MODULATOR] else name: constants.add(
                f"{parameter_code(rule, tau)} / dt", tau
            )
            for name, tau in rule.decays.items()
        }
        synapse = (WEIGHT, *groups[SYNAPSE])
        everything = (*synapse, *groups[PRE], *groups[POST], *groups[MODULATOR])
        functions = {
            "source_spike": (PRE, groups[PRE], groups[PRE]),
            "target_spike": (POST, groups[POST], groups[POST]),
            "on_pre": (PRE, everything, synapse),
            "on_post": (POST, everything, synapse),
        }
        if rule.events[MODULATOR]:
            functions["modulator_spike"] = (MODULATOR, groups[MODULATOR], groups[MODULATOR])
        bodies = {
            name: self._body(side, taken, results)
            for name, (side, taken, results) in functions.items()
        }
        code = [
            "def constants(parameters, dt):",
            '    """Return the constants, times in steps."""',
            "    p = parameters",
            *(f"    {line}" for line in constants.lines),
            f"    found = {{{', '.join(f'{name!r}: {name}' for name in constants.kinds)}}}",
            "    return {name: np.asarray(one, np.float64) for name, one in found.items()}",
        ]
        for name, (_, taken, _) in functions.items():
            arguments = [*(self.locals[one] for one in taken), *constants.kinds]
            code += ["", "", "@inline", f"def {name}({', '.join(arguments)}):"]
            code += [f'    """{_ABOUT[name]}"""', *(f"    {line}" for line in bodies[name])]
        lines = [
            f'"""{about}"""',
            "",
            *imports(code, _FUNCTIONS),
            "",
            f"SOURCE = {groups[PRE]!r}",
            f"TARGET = {groups[POST]!r}",
            f"STATES = {groups[SYNAPSE]!r}",
            f"DECAYS = {decays!r}",
            f"MODULATED = {bool(groups[MODULATOR])}",
            f"CONSTANTS = {constants.kinds!r}",
            "",
            "",
            *code,
            "",
        ]
        return "\n".join(lines)

    def _body(self, side: str, taken: tuple[str, ...], results: tuple[str, ...]) -> list[str]:
        """Return the lines that do what a spike does to the variables of a function."""
        lines: list[str] = []
        statements = [one for one in self.rule.events[side] if one[0] in taken]
        # traces of the neuron that spikes are another function's, unless what follows needs them
        needed, kept = set(results), []
        for name, value in reversed(statements):
            if name in needed:
                kept.append((name, value))
                needed |= self.rule.uses(value)
        local = self.constants.names.of_function()
        for name, value in reversed(kept):
            text = _Statement(self, lines, local).assigned(name, value)
            lines.append(f"{self.locals[name]} = {text}")
        return [*lines, f"return ({''.join(f'{self.locals[name]}, ' for name in results)})"]


_ABOUT = {
    "source_spike": "Return the source's traces after its spike.",
    "target_spike": "Return the target's traces after its spike.",
    "on_pre": "Return weight and states after a spike of the source.",
    "on_post": "Return weight and states after a spike of the target.",
    "modulator_spike": "Return the modulator after a spike of one of its neurons.",
}


def parameter_code(rule: Plasticity, parameter: str) -> str:
    """Return the float64 code of a parameter, or of a bound, in our units."""
    tens = rule.units[parameter].whole_tens
    return f'(1e{tens} * p["{parameter}"])' if tens else f'p["{parameter}"]'


class _Statement:
    """Writes the code of one assignment."""

    def __init__(self, module: _Module, lines: list[str], local: Names) -> None:
        self._rule, self._constants, self._lines = module.rule, module.constants, lines
        self._locals, self._names = module.locals, local
        self._derived: dict[str, str] = {}

    def assigned(self, name: str, value: Node) -> str:
        """Return the code of what a variable becomes, in its own unit."""
        text, tens = self._code(value), self._rule.units[name].whole_tens
        return f"{text} / {self._number(10.0**tens)}" if tens else bare(text)

    def _number(self, value: float) -> str:
        return self._constants.add(repr(value))

    def _code(self, node: Node) -> str:
        """Return the code of an expression in the kernel."""
        # constants are numbers, which conditions are not
        if self._is_fixed(node) and not _is_condition(node):
            name = node.name if isinstance(node, Name) else ""
            return self._constants.add(bare(self._constant(node)), name and f"c_{name}")
        if isinstance(node, Name):
            return self._variable(node.name)
        assert isinstance(node, Apply)
        if node.function == "**" and isinstance(node.arguments[1], Number):
            power = self._power(node.arguments[0], node.arguments[1].value)
            if power is not None:
                return power
        given = node.arguments
        if node.function == "*":
            # constants that a product begins with are one
            head = tuple(takewhile(self._is_fixed, given))
            given = (Apply("*", head, node.at), *given[len(head) :]) if head[1:] else given
        arguments = [self._code(one) for one in given]
        return called(node.function, arguments, _IN_KERNEL, FOLDED | _CHAINS)

    def _variable(self, name: str) -> str:
        if name not in self._rule.derived:
            tens = self._rule.units[name].whole_tens
            local = self._locals[name]
            return f"({self._number(10.0**tens)} * {local})" if tens else local
        if name not in self._derived:
            self._derived[name] = self._let(self._code(self._rule.derived[name].value))
        return self._derived[name]

    def _let(self, text: str) -> str:
        name = self._names.new(f"t{len(self._lines)}")
        self._lines.append(f"{name} = {bare(text)}")
        return name

    def _power(self, base: Node, exponent: float) -> str | None:
        """Return a small whole power or a square root; None for any other power."""
        if exponent == 0.5:
            return f"np.sqrt({self._code(base)})"
        if exponent % 1.0 or not 1.0 <= abs(exponent) <= 16.0:
            return None
        product = " * ".join([self._let(self._code(base))] * int(abs(exponent)))
        return f"({product})" if exponent > 0.0 else f"({self._number(1.0)} / ({product}))"

    def _is_fixed(self, node: Node) -> bool:
        """Return whether an expression depends on parameters alone."""
        match node:
            case Number():
                return True
            case Name(name=name):
                if name in self._rule.derived:
                    return self._is_fixed(self._rule.derived[name].value)
                return name != WEIGHT and name not in self._rule.variables
        return all(map(self._is_fixed, node.arguments))

    def _constant(self, node: Node) -> str:
        """Return the float64 code of an expression of parameters."""
        match node:
            case Number(value=value):
                return repr(value)
            case Name(name=name):
                if name in self._rule.derived:
                    return self._constant(self._rule.derived[name].value)
                if name in self._rule.units:
                    return parameter_code(self._rule, name)
                return f"1e{UNITS[name].whole_tens}"
        arguments = [self._constant(one) for one in node.arguments]
        return called(node.function, arguments, _OF_ARRAYS, ARRAY_FOLDED | _CHAINS)


def _is_condition(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in (*COMPARISONS, *LOGIC)
