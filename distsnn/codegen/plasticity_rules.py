"""Generation of the kernel module of a plasticity rule from its equations.

`distsnn.kernels.plasticity` contains the modules of built-in rules, which
`distsnn.codegen.built_in` writes. In a module, variables have their own names, ``c_NAME`` is a
parameter, ``kN`` another constant, ``tN`` an intermediate value. Expressions of parameters only are
computed once, in float64; all other operations are computed in the written order.
"""

from collections.abc import Callable
from itertools import takewhile
from typing import Protocol

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
from distsnn.codegen.modules import ELEMENTARY_NAMES, imports
from distsnn.network.equations.dimensions import UNITS
from distsnn.network.equations.dynamics import STEP_LENGTH
from distsnn.network.equations.plasticity import Plasticity
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.syntax import (
    COMPARISONS,
    DELAYED,
    LOGIC,
    RANDOM,
    NameNode,
    Node,
    NumberNode,
    Operation,
)
from distsnn.network.equations.target_states import (
    MODULATOR,
    POST,
    PRE,
    SYNAPSE,
    WEIGHT,
    Watch,
)

_SIGNS = {sign: f"({{}} {sign} {{}})" for sign in "-/"} | {"neg": "(-{})"}
_CHAINS = {"+": "({} + {})", "*": "({} * {})"}  # of at least two terms or factors
# Weights slightly beyond their bounds after rounding, and exponents of 0, are not errors.
_IN_KERNEL = (
    CALLS
    | _SIGNS
    | {
        "**": "bounded_power({}, {})",
        # NaN remains NaN, so that it is detected
        "clip": "clip({}, {}, {})",
    }
)
_OF_ARRAYS = ARRAY_CALLS | _SIGNS

# Functions of `kernels.functions` that modules of rules and synapse models call.
FUNCTIONS = (
    *("bounded_power", "checked_log", "checked_log_array", "clip", "erf", "erf_array", "exp"),
    *("exp_array", "exprel", "exprel_array"),
)
# Functions for the time between spikes, and for random numbers.
_OF_SYNAPSES = (
    *(
        "binomial_in",
        "decay",
        "decayed",
        "filtered",
        "integral",
        "normal_in",
        "poisson_in",
        "spent",
        "uniform_in",
    ),
)
_BOUNDS = ("w_min", "w_max")
# Names that a module uses.
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
        "values",
        "name",
        "value",
    ),
    *("SOURCE", "TARGET", "STATES", "DECAYS", "MODULATED", "CONSTANTS", *FUNCTIONS),
    *("WATCHED", "LATE", "LEVELS", "watch", *ELEMENTARY_NAMES),
    *("INITIAL", "TRANSMITS", "DRAWS", "ON_POST", "learns", "steps", *_OF_SYNAPSES),
)


def rule_module_text(model: PlasticityModel, *, docstring: str = "Generated: do not edit.") -> str:
    """Return the text of a rule's kernel module.

    Parameters
    ----------
    model : PlasticityModel
        The rule.
    docstring : str
        Docstring of the module. It is executed, so it must not contain text of a user.
    """
    return _Module(model.rule).text(docstring)


class _Module:
    """The module of one rule."""

    def __init__(self, rule: Plasticity) -> None:
        names = Names(_TAKEN)
        self.rule = rule
        changed = [name for its in rule.events.values() for name, _ in its]
        observed = [*rule.watch.states, *rule.watch.values] if rule.watch else []
        every = dict.fromkeys((WEIGHT, *rule.variables, *changed, *observed))
        self.locals = {name: names.new(name) for name in every}
        # placeholder of a target value that the statements do not use
        self.locals[""] = names.new("level")
        self.constants = Constants(names)
        # words of random bits, by the node that draws
        self._words: dict[int, str] = {}

    def _bits(self, node: Operation) -> str:
        """Return the random bits of one occurrence of a random number in the text."""
        if id(node) not in self._words:
            self._words[id(node)] = self.constants.names.new(f"bits_{len(self._words)}")
        return self._words[id(node)]

    def text(self, docstring: str) -> str:
        """Return the text of the module."""
        rule, constants = self.rule, self.constants
        groups = {flag: rule.with_flag(flag) for flag in (PRE, POST, SYNAPSE, MODULATOR)}
        decays = {
            "m" if name in groups[MODULATOR] else name: self._time_constant(name)
            for name in rule.decays
        }
        synapse = (WEIGHT, *groups[SYNAPSE])
        of_post = {
            side: (rule.watch.used[side] or ("",)) if rule.watch else groups[POST]
            for side in (PRE, POST)
        }
        everything = {
            side: (*synapse, *groups[PRE], *its, *groups[MODULATOR])
            for side, its in of_post.items()
        }
        functions = {
            "source_spike": (PRE, groups[PRE], groups[PRE]),
            "target_spike": (POST, groups[POST], groups[POST]),
            "on_pre": (PRE, everything[PRE], synapse),
            "on_post": (POST, everything[POST], synapse),
        }
        if rule.watch:
            del functions["target_spike"]
        if rule.events[MODULATOR]:
            functions["modulator_spike"] = (MODULATOR, groups[MODULATOR], groups[MODULATOR])
        bodies = {name: self._body(side, results) for name, (side, _, results) in functions.items()}
        arguments = {
            name: [self.locals[variable] for variable in names]
            for name, (_, names, _) in functions.items()
        }
        arguments["on_pre"] += [*(["learns"] * self._transmits), *self._words.values()]
        if rule.watch:
            bodies["watch"] = self._watch(rule.watch)
            arguments["watch"] = [self.locals[state] for state in rule.watch.states]
        if rule.relaxes or rule.drift:
            bodies["between"] = self._between()
            arguments["between"] = [self.locals[state] for state in synapse] + ["steps"]
            arguments["between"] += [self.locals[trace] for trace in groups[MODULATOR]]
        code = [
            "def constants(parameters, dt):",
            '    """Return the constants, times in steps."""',
            "    p = parameters",
            *(f"    {line}" for line in constants.lines),
            f"    values = {{{', '.join(f'{name!r}: {name}' for name in constants.kinds)}}}",
            "    return {name: np.asarray(value, np.float64) for name, value in values.items()}",
        ]
        for name, names in arguments.items():
            code += ["", "", "@inline", f"def {name}({', '.join([*names, *constants.kinds])}):"]
            title = "on_step" if rule.watch and name == "on_post" else name
            code += [f'    """{_DOCSTRINGS[title]}"""', *(f"    {line}" for line in bodies[name])]
        lines = [
            f'"""{docstring}"""',
            "",
            *imports(code, FUNCTIONS, _OF_SYNAPSES),
            "",
            f"SOURCE = {groups[PRE]!r}",
            f"TARGET = {groups[POST]!r}",
            f"STATES = {groups[SYNAPSE]!r}",
            f"DECAYS{'' if decays else ': dict[str, str]'} = {decays!r}",
            f"MODULATED = {bool(groups[MODULATOR])}",
            f"CONSTANTS = {constants.kinds!r}",
            *self._optional(),
            "",
            "",
            *code,
            "",
        ]
        return "\n".join(lines)

    def _body(self, side: str, results: tuple[str, ...]) -> list[str]:
        """Return the lines that apply a spike to the variables of a function."""
        lines: list[str] = []
        statements = [*self.rule.events[side]]
        # another function computes traces of the spiking neuron, unless later statements use them
        sent = self.rule.transmitted if side == PRE and WEIGHT in results else None
        needed, selected = {*results, *(self.rule.uses(sent) if sent else [])}, []
        for name, value in reversed(statements):
            if name in needed:
                selected.append((name, value))
                needed |= self.rule.uses(value)
        local = self.constants.names.of_function()
        for name, value in reversed(selected):
            text = StatementWriter(self, lines, local, self._bits).assigned(name, value)
            if sent and name == WEIGHT:
                text = f"({text}) if learns else {self.locals[name]}"
            lines.append(f"{self.locals[name]} = {text}")
        values = [self.locals[name] for name in results]
        values += (
            [StatementWriter(self, lines, local, self._bits).assigned(WEIGHT, sent)] if sent else []
        )
        return [*lines, f"return ({''.join(f'{value}, ' for value in values)})"]

    @property
    def _transmits(self) -> bool:
        return self.rule.transmitted is not None

    def _optional(self) -> list[str]:
        """Return the lines of declarations that most rules do not need."""
        rests = {name: self._rest(name) for name in self.rule.relaxations}
        lines = [f"INITIAL = {rests!r}"] if rests else []
        if watch := self.rule.watch:
            lines.append(f"WATCHED = {tuple(watch.states.values())!r}")
            lines.append(f"LATE = {tuple(watch.states[state] for state in watch.late)!r}")
            if watch.used[POST][1:]:
                lines.append(f"LEVELS = {len(watch.used[POST])}")
        lines += ["TRANSMITS = True"] * self._transmits
        lines += [f"DRAWS = {len(self._words)}"] if self._words else []
        return [*lines, *(["ON_POST = False"] * (not self.rule.events[POST]))]

    def _rest(self, name: str) -> str:
        """Return the constant to which a state relaxes, in the state's unit."""
        return self._scaled(
            self.rule.relaxations[name].equilibrium, self.rule.units[name].whole_tens
        )

    def _scaled(self, node: Node, tens: int) -> str:
        """Return the constant of an expression of parameters, in units of a power of ten."""
        text = constant_code(self.rule, node)
        return self.constants.add(f"{text} / 1e{tens}" if tens else bare(text))

    def _watch(self, watch: Watch) -> list[str]:
        """Return the lines that compute the values of a target in a step."""
        lines: list[str] = []
        statement = StatementWriter(self, lines, self.constants.names.of_function(), self._bits)
        values = []
        for name in (name for side in (POST, PRE) for name in watch.used[side] or ("",)):
            value = statement.assigned(name, watch.values[name].value) if name else ""
            values.append(value or self.constants.add("0.0"))
        return [*lines, f"return ({', '.join(values)})"]

    def _between(self) -> list[str]:
        """Return the lines that advance states and weight between events."""
        rule, results = self.rule, [self._drifted()]
        for name in rule.with_flag(SYNAPSE):
            local, relaxation = self.locals[name], rule.relaxations.get(name)
            if name not in rule.decays:
                results.append(local)
                continue
            tau = self._time_constant(name)
            if relaxation is None and rule.drift:
                # by its rate, as in the integral of the weight, to share exponentials
                results.append(f"decayed({local}, steps, {self.constants.add(f'1.0 / {tau}')})")
                continue
            if relaxation is None:
                results.append(f"{local} * decay(steps, {tau})")
                continue
            target = self._rest(name)
            text = f"{target} + ({local} - {target}) * decay(steps, {tau})"
            for other, factor in relaxation.inputs:
                units = (rule.units[result].whole_tens for result in (name, other))
                by = self._scaled(factor, next(units) - next(units))
                filtering = f"filtered(steps, {tau}, {self._time_constant(other)})"
                text += f" + {by} * {self.locals[other]} * {filtering}"
            results.append(text)
        return [f"return ({''.join(f'{result}, ' for result in results)})"]

    def _drifted(self) -> str:
        """Return the weight after an interval, within its bounds."""
        rule, w = self.rule, self.locals[WEIGHT]
        if not rule.drift:
            return w
        tens = {name: rule.units[name].whole_tens for name in (WEIGHT, *rule.variables)}
        gained = []
        for factor, names in rule.drift:
            step = Operation("*", (factor, NameNode(STEP_LENGTH, factor.span)), factor.span)
            by = self._scaled(step, tens[WEIGHT] - sum(tens[name] for name in names))
            rates = [f"1.0 / {self._time_constant(name)}" for name in names if name in rule.decays]
            rate = self.constants.add(" + ".join(rates) or "0.0")
            spent = f"integral(steps, {rate})"
            if any(name in rule.decays for name in names if name in rule.with_flag(SYNAPSE)):
                # the rate is above 0
                by, spent = self.constants.add(f"{by} / {rate}"), f"spent(steps, {rate})"
            gained.append(" * ".join([by, *(self.locals[name] for name in names), spent]))
        bounds = [
            self.constants.add(parameter_code(rule, bound), f"c_{bound}") for bound in _BOUNDS
        ]
        return f"clip(type({w})({w} + {' + '.join(gained)}), {', '.join(bounds)})"

    def _time_constant(self, name: str) -> str:
        """Return the constant with which a variable decays, in steps."""
        tau = self.rule.decays[name]
        text = f"{parameter_code(self.rule, tau)} / dt"
        if self.rule.variables[name].flag != MODULATOR:
            return self.constants.add(text, tau)
        # a signal is constant until it is set again
        return self.constants.add(f'{text} if p["modulator"] else np.inf', f"{tau}_of_m")


_DOCSTRINGS = {
    "source_spike": "Return the source's traces after its spike.",
    "target_spike": "Return the target's traces after its spike.",
    "on_pre": "Return weight and states after a spike of the source.",
    "on_post": "Return weight and states after a spike of the target.",
    "modulator_spike": "Return the modulator after a spike of one of its neurons.",
    "on_step": "Return weight and states after a step with an effect of the target.",
    "watch": "Return the values of a step of the target that act on synapses.",
    "between": "Return weight and states after steps without events.",
}


def parameter_code(rule: Plasticity, parameter: str) -> str:
    """Return the float64 code of a parameter, or of a bound, in internal units."""
    tens = rule.units[parameter].whole_tens
    return f'(1e{tens} * p["{parameter}"])' if tens else f'p["{parameter}"]'


class RuleNames(Protocol):
    """What a module names: its constants and local variables."""

    rule: Plasticity
    constants: Constants
    locals: dict[str, str]


class StatementWriter:
    """Code of one assignment.

    Parameters
    ----------
    module : RuleNames
        The module.
    lines : list of str
        Extended by lines that come before the assignment.
    local : Names
        The names of the function's local variables.
    bits : callable, optional
        Returns the name of the random bits of one occurrence of a random number; a text without
        random numbers needs none.
    """

    def __init__(
        self,
        module: RuleNames,
        lines: list[str],
        local: Names,
        bits: Callable[[Operation], str] | None = None,
    ) -> None:
        self._rule, self._constants, self._lines = module.rule, module.constants, lines
        self._locals, self._names, self._bits = module.locals, local, bits
        self._derived: dict[str, str] = {}

    def assigned(self, name: str, value: Node) -> str:
        """Return the code of the new value of a variable, in its unit."""
        text, tens = self._code(value), self._rule.units[name].whole_tens
        return f"{text} / {self._number(10.0**tens)}" if tens else bare(text)

    def value(self, node: Node) -> str:
        """Return the code of an expression, in internal units."""
        return bare(self._code(node))

    def _number(self, value: float) -> str:
        return self._constants.add(repr(value))

    def _code(self, node: Node) -> str:
        """Return the code of an expression in the kernel."""
        # a constant must be a number, not a condition
        if self._is_fixed(node) and not _is_condition(node):
            name = node.name if isinstance(node, NameNode) else ""
            return self._constants.add(bare(constant_code(self._rule, node)), name and f"c_{name}")
        if isinstance(node, NameNode):
            return self._variable(node.name)
        assert isinstance(node, Operation)
        if node.function == DELAYED:
            return self._code(node.arguments[0])
        if node.function in RANDOM:
            assert self._bits is not None
            drawn = [self._locals[WEIGHT], self._bits(node), *map(self._code, node.arguments)]
            return f"{node.function}_in({', '.join(map(bare, drawn))})"
        if node.function == "**" and isinstance(node.arguments[1], NumberNode):
            power = self._power(node.arguments[0], node.arguments[1].value)
            if power is not None:
                return power
        operands = node.arguments
        if node.function == "*":
            # the leading constants of a product are combined
            head = tuple(takewhile(self._is_fixed, operands))
            operands = (
                (Operation("*", head, node.span), *operands[len(head) :]) if head[1:] else operands
            )
        arguments = [self._code(operand) for operand in operands]
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
        """Return a small integer power or a square root; None for any other power."""
        if exponent == 0.5:
            return f"np.sqrt({self._code(base)})"
        if exponent % 1.0 or not 1.0 <= abs(exponent) <= 16.0:
            return None
        product = " * ".join([self._let(self._code(base))] * int(abs(exponent)))
        return f"({product})" if exponent > 0.0 else f"({self._number(1.0)} / ({product}))"

    def _is_fixed(self, node: Node) -> bool:
        """Return whether an expression depends on parameters only."""
        match node:
            case NumberNode():
                return True
            case NameNode(name=name):
                if name in self._rule.derived:
                    return self._is_fixed(self._rule.derived[name].value)
                return name not in self._locals
        return node.function not in RANDOM and all(map(self._is_fixed, node.arguments))


def constant_code(rule: Plasticity, node: Node) -> str:
    """Return the float64 code of an expression of parameters."""
    match node:
        case NumberNode(value=value):
            return repr(value)
        case NameNode(name=name):
            if name in rule.derived:
                return constant_code(rule, rule.derived[name].value)
            if name == STEP_LENGTH:
                return "dt"
            if name in rule.units:
                return parameter_code(rule, name)
            return f"1e{UNITS[name].whole_tens}"
    arguments = [constant_code(rule, argument) for argument in node.arguments]
    return called(node.function, arguments, _OF_ARRAYS, ARRAY_FOLDED | _CHAINS)


def _is_condition(node: Node) -> bool:
    return isinstance(node, Operation) and node.function in (*COMPARISONS, *LOGIC)
