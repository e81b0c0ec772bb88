"""Generation of the kernel module of a synapse model with states of sources, from its equations.

`distsnn.kernels.synapses` defines what a module contains, and has those of built-in models, which
`distsnn.codegen.built_in` writes. Names are as in the modules of plasticity rules: ``c_NAME`` is a
parameter, ``kN`` another constant. All is float64; operations are computed in the written order.
"""

import re

from distsnn.codegen.expressions import Constants, Names, bare
from distsnn.codegen.modules import ELEMENTARY_NAMES, imports
from distsnn.codegen.plasticity_rules import (
    FUNCTIONS,
    StatementWriter,
    constant_code,
    parameter_code,
)
from distsnn.kernels import synapses
from distsnn.network.equations.plasticity import Relaxation
from distsnn.network.equations.syntax import LOWER_GAMMA, NameNode, Node
from distsnn.network.equations.target_states import PRE, SYNAPSE
from distsnn.network.equations.transmission_model import TransmissionModel

_HEADER = ("MIN_FACTOR", "MAX_FACTOR", "FAULT_STEP", "FAULT_RECORD", "FAULT_FACTOR")
# Names that a module uses.
_TAKEN = (
    *("np", "inline", "kernel", "kernel_entry", "min", "max", "abs", "p", "dt", "i", "range"),
    *("parameters", "constants", "table", "records", "start", "last", "step", "steps", "since"),
    *("factor", "between", "bring_up", "spike", "filtered", LOWER_GAMMA, *FUNCTIONS),
    *("STATES", "CONSTANTS", "INITIAL", *_HEADER, *ELEMENTARY_NAMES),
)
# A constant that is a written number.
_NUMBER = re.compile(r"(\w+) = (-?[\d.]+(?:e[+-]?\d+)?)")


def transmission_text(
    model: TransmissionModel, *, docstring: str = "Generated: do not edit."
) -> str:
    """Return the text of a model's kernel module.

    Parameters
    ----------
    model : TransmissionModel
        The model.
    docstring : str
        Docstring of the module. It is executed, so it must not contain text of a user.
    """
    return _Module(model).text(docstring)


class _Module:
    """The module of one synapse model."""

    def __init__(self, model: TransmissionModel) -> None:
        names = Names(_TAKEN)
        self.model, self.rule = model, model.transmission.rule
        assigned = [name for name, _ in self.rule.events[PRE]]
        self.locals = {
            name: names.new(name) for name in dict.fromkeys((*self.rule.variables, *assigned))
        }
        self.constants = Constants(names)
        self.states = self.rule.with_flag(SYNAPSE)

    def text(self, docstring: str) -> str:
        """Return the text of the module."""
        between = self._between()
        initial = {name: value for name in self.states if (value := self._initial(name))}
        statements = self._statements()
        numbers = {
            match[1]: match[2]
            for line in self.constants.lines
            if (match := _NUMBER.fullmatch(line)) is not None
        }
        between, statements = (_written(lines, numbers) for lines in (between, statements))
        lines = [line for line in self.constants.lines if not _NUMBER.fullmatch(line)]
        constants = tuple(name for name in self.constants.kinds if name not in numbers)
        columns = [*(self.locals[name] for name in self.states), "since", *constants]
        own, n_states = columns[: len(self.states)], len(self.states) + 1
        used = _used(constants, between)
        arguments = ", ".join([*own, "steps", *used])
        call = f"between({', '.join([*own, 'step - since', *used])})"
        advance = [f"{_tuple(own)} = {call}"] if own else []

        def read(array: str, names: list[str]) -> list[str]:
            return [f"{name} = {array.format(columns.index(name))}" for name in names]

        read_by_spike = [*own, "since", *_used(constants, [*advance, *statements])]
        read_by_kernel = [*own, "since", *used] if own else []
        code = [
            "def constants(parameters, dt):",
            '    """Return the constants of sources by name; times in steps."""',
            "    p = parameters",
            *(f"    {line}" for line in lines),
            f"    return {{{', '.join(f'{name!r}: {name}' for name in constants)}}}",
            "",
            "",
            "@inline",
            f"def between({arguments}):",
            '    """Return the states after steps without a spike."""',
            *(f"    {line}" for line in between),
            "",
            "",
            "@kernel",
            "def bring_up(records, step):",
            '    """Bring records up to a step without a spike."""',
            "    for i in range(records.shape[0]):",
            *(f"        {line}" for line in read("records[i, {}]", read_by_kernel)),
            *(f"        {line}" for line in advance),
            *(f"        records[i, {column}] = {name}" for column, name in enumerate(own)),
            f"        records[i, {n_states - 1}] = step",
            "",
            "",
            "@kernel_entry",
            "def spike(table, records, start, last, step):",
            '    """Advance a record to its next spike."""',
            *(f"    {line}" for line in read("records[start + {}]", read_by_spike)),
            *(f"    {line}" for line in (*advance, *statements)),
            "    # NaN is refused, too",
            "    if not records[MIN_FACTOR] <= factor <= records[MAX_FACTOR]:",
            "        if records[FAULT_STEP] == 0.0:",
            "            records[FAULT_STEP], records[FAULT_RECORD] = step, start",
            "            records[FAULT_FACTOR] = factor",
            "        factor = 0.0",
            *(f"    records[start + {column}] = {name}" for column, name in enumerate(own)),
            f"    records[start + {n_states - 1}] = step",
            f"    records[start + {len(columns)}] = factor",
            "    return 0",
        ]
        code = [line.replace("start + 0", "start") for line in code]
        header = ", ".join(str(getattr(synapses, name)) for name in _HEADER)
        initial = {name: numbers.get(value, repr(value)) for name, value in initial.items()}
        entries = ", ".join(f"{name!r}: {value}" for name, value in initial.items())
        return "\n".join(
            [
                f'"""{docstring}"""',
                "",
                *imports(code, FUNCTIONS, ("filtered",), ("inline", "kernel", "kernel_entry")),
                *["from distsnn.kernels.synapses import lower_gamma"]
                * any(LOWER_GAMMA in line for line in lines),
                "",
                f"STATES = {(*self.states, 'last')!r}",
                f"CONSTANTS = {constants!r}",
                f"INITIAL{'' if entries else ': dict[str, float | str]'} = {{{entries}}}",
                "# words before the first record",
                f"{', '.join(_HEADER)} = {header}",
                "",
                "",
                *code,
                "",
            ]
        )

    def _between(self) -> list[str]:
        """Return the lines that advance the states over an interval."""
        results = []
        for name in self.states:
            local, relaxation = self.locals[name], self.rule.relaxations.get(name)
            if name not in self.rule.decays:
                results.append(local)
                continue
            decay = self._decay(name)
            if relaxation is None:
                results.append(f"{local} * {decay}")
                continue
            rest = self._rest(name, relaxation)
            text = f"{rest} + ({local} - {rest}) * {decay}"
            tau = self._time_constant(name)
            for other, by in relaxation.inputs:
                tens = self.rule.units[name].whole_tens - self.rule.units[other].whole_tens
                filtered = f"filtered(steps, {tau}, {self._time_constant(other)})"
                text += f" + {self._constant(by, tens)} * {self.locals[other]} * {filtered}"
            results.append(text)
        return [f"return {_tuple(results)}"]

    def _decay(self, name: str) -> str:
        tau = self._time_constant(name)
        decay = f"exp(-steps / {tau})"
        allowed = self._allowed[self.rule.decays[name]]
        return f"({decay} if {tau} > 0.0 else 0.0)" if allowed else decay

    @property
    def _allowed(self) -> dict[str, bool]:
        """Whether parameters may be 0."""
        ranges = self.model.transmission.least_time_constants()
        declared = self.model.synapse.parameters()
        return {name: not declared[name].allowed.open_low for name in ranges}

    def _time_constant(self, name: str) -> str:
        """Return the constant with which a state decays, in steps."""
        tau = self.rule.decays[name]
        return self.constants.add(f"{parameter_code(self.rule, tau)} / dt", tau)

    def _rest(self, name: str, relaxation: Relaxation) -> str:
        return self._constant(relaxation.equilibrium, self.rule.units[name].whole_tens)

    def _constant(self, node: Node, tens: int) -> str:
        """Return the constant of an expression of parameters, in units of a power of ten."""
        text = constant_code(self.rule, node)
        name = f"c_{node.name}" if isinstance(node, NameNode) and not tens else ""
        return self.constants.add(f"{text} / 1e{tens}" if tens else bare(text), name)

    def _initial(self, name: str) -> str:
        """Return the constant with which a state begins; empty for 0."""
        value = self.model.initial.get(name)
        if isinstance(value, str):
            tens = self.rule.units[name].whole_tens
            text = parameter_code(self.rule, value)
            return self.constants.add(f"{text} / 1e{tens}" if tens else text, f"c_{value}")
        if value is not None:
            return self.constants.add(repr(value))
        relaxation = self.rule.relaxations.get(name)
        return "" if relaxation is None else self._rest(name, relaxation)

    def _statements(self) -> list[str]:
        """Return the lines of a spike, the last of which computes the factor."""
        lines: list[str] = []
        local = self.constants.names.of_function()
        for name, value in self.rule.events[PRE]:
            text = StatementWriter(self, lines, local).assigned(name, value)
            lines.append(f"{self.locals[name]} = {text}")
        text = StatementWriter(self, lines, local).value(self.model.transmission.factor)
        return [*lines, f"factor = {text}"]


def _tuple(texts: list[str]) -> str:
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def _used(names: tuple[str, ...], lines: list[str]) -> list[str]:
    """Return the names that occur in some lines."""
    words = set(re.findall(r"\w+", "\n".join(lines)))
    return [name for name in names if name in words]


def _written(lines: list[str], numbers: dict[str, str]) -> list[str]:
    """Return lines with numbers in place of the constants that stand for them."""
    return [
        re.sub(r"[A-Za-z_]\w*", lambda match: numbers.get(match[0], match[0]), line)
        for line in lines
    ]
