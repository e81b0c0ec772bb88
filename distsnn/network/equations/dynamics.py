"""The texts of a model, combined and checked: names, units, cycles."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.equations.dimensions import (
    MS,
    ONE,
    TRUTH,
    UNITS,
    Unit,
    kind_of,
    require,
    unit_named,
)
from distsnn.network.equations.receptors import ReceptorInput, read_receptors
from distsnn.network.equations.source import EquationError, EquationText, Span, unknown_at
from distsnn.network.equations.statements import (
    Definition,
    check_locals_used,
    read_equations,
    read_statements,
)
from distsnn.network.equations.syntax import (
    DELAYED,
    LOWER_GAMMA,
    PREVIOUS,
    RANDOM,
    NameNode,
    Node,
    Operation,
    check_text,
    input_name,
    is_name,
    is_word,
    names_in,
    parse,
)

# The current of stimuli in equations.
STIMULI = "I_stim"
# Time, and the length of a step.
TIME, STEP_LENGTH = "t", "dt"
# Names of white noise; each name is an independent noise with variance 1/dt in each step.
_NOISE = re.compile(r"xi(_\w+)?", re.ASCII)
_PER_ROOT_MS = ONE.times(MS, Fraction(-1, 2))
# What the model counts itself.
REFRACTORY = "refractory"
# Nodes of all right-hand sides, with sub-expressions put in.
_LARGEST, _DEEPEST = 5000, 150
# Ratio of a state variable's unit to the internal unit: kernels treat values below 1e-20 as 0.
_MOST_TENS = 15


@dataclass(frozen=True)
class Event:
    """Assignments to a neuron for which a condition holds.

    Attributes
    ----------
    condition : Node, optional
        The condition; None: always.
    statements : list of (str, Node)
        What state variables become, in this order.
    """

    condition: Node | None
    statements: list[tuple[str, Node]]


@dataclass(frozen=True)
class Dynamics:
    """A model's equations, checked.

    Attributes
    ----------
    states : dict of str to Definition
        Differential equations, in the order of the text.
    derived : dict of str to Definition
        Sub-expressions.
    threshold : Node or None
        Condition of a spike.
    spike_count : Node or None
        Number of spikes where the condition holds; None: 1.
    reset : list of (str, Node)
        What state variables become at a spike, in this order.
    events : list of Event
        What else happens at the end of a step, in this order.
    units : dict of str to Unit
        Units of states, sub-expressions, parameters and the current of stimuli.
    receptors : dict of str to ReceptorInput
        Receptors.
    held : dict of str to str
        State variables that rest after a spike, with the period at whose end each rests last.
    after : dict of str to list of (str, Node)
        What state variables become at the ends of periods, in this order.
    noise : tuple of str
        White noise in the equations.
    previous : tuple of str
        State variables of which the value at the start of the step is used.
    """

    states: dict[str, Definition]
    derived: dict[str, Definition]
    threshold: Node | None
    spike_count: Node | None
    reset: list[tuple[str, Node]]
    events: list[Event]
    units: dict[str, Unit]
    receptors: dict[str, ReceptorInput]
    held: dict[str, str]
    after: dict[str, list[tuple[str, Node]]]
    noise: tuple[str, ...]
    previous: tuple[str, ...]

    def uses(self, name: str) -> bool:
        """Return whether an equation, the threshold, the reset or an event uses a name."""
        nodes = [definition.value for definition in (*self.states.values(), *self.derived.values())]
        tests = [self.threshold, self.spike_count]
        nodes += _end_of_step_expressions(tests, self.reset, self.events, self.after)
        return any(name in names_in(node) for node in nodes)

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Sub-expressions that have no value between two steps, with the reason."""
        meanings = {STIMULI: "the current of stimuli", TIME: "the time"}
        meanings |= dict.fromkeys(self.noise, "white noise")
        meanings |= dict.fromkeys(map(input_name, self.receptors), "the input of a step")
        meanings |= dict.fromkeys((f"{function}()" for function in RANDOM), "a random number")
        meanings[f"{PREVIOUS}()"] = "a value at the start of the step"
        reasons: dict[str, str] = {}
        for name, definition in self.derived.items():
            for node in _nodes([definition.value], self.derived):
                used = node.name if isinstance(node, NameNode) else f"{node.function}()"
                if used in meanings:
                    reasons.setdefault(name, f"it contains {used}, {meanings[used]}")
        return reasons

    def states_of(self, name: str) -> tuple[str, ...]:
        """Return the state variables that a sub-expression depends on, in their order."""
        nodes = leaves([self.derived[name].value], self.derived)
        used = {node.name for node in nodes if isinstance(node, NameNode)}
        return tuple(state for state in self.states if state in used)

    @cached_property
    def during(self) -> tuple[str, ...]:
        """Receptors whose input the equations, the threshold, the reset or an event use."""
        return tuple(name for name in self.receptors if self.uses(input_name(name)))


def _end_of_step_expressions(
    tests: Iterable[Node | None],
    reset: list[tuple[str, Node]],
    events: list[Event],
    after: Mapping[str, list[tuple[str, Node]]],
) -> list[Node]:
    """Return the expressions that are evaluated at the end of a step."""
    expressions = [test for test in tests if test is not None]
    for event in events:
        expressions += [] if event.condition is None else [event.condition]
        expressions += [value for _, value in event.statements]
    expressions += [value for statements in after.values() for _, value in statements]
    return [*expressions, *(value for _, value in reset)]


def is_noise(name: str) -> bool:
    """Return whether a name stands for white noise: ``xi``, or ``xi_`` with more."""
    return _NOISE.fullmatch(name) is not None


def leaves(
    nodes: Iterable[Node], derived: Mapping[str, Definition]
) -> Iterator[NameNode | Operation]:
    """Yield the names and random numbers of expressions and of the sub-expressions they use."""
    for node in _nodes(nodes, derived):
        if isinstance(node, NameNode) or node.function in RANDOM:
            yield node


def _nodes(
    nodes: Iterable[Node], derived: Mapping[str, Definition]
) -> Iterator[NameNode | Operation]:
    """Yield the operations and names of expressions, and those of the sub-expressions they use."""
    left, visited = [*nodes], set()
    while left:
        node = left.pop(0)
        if isinstance(node, Operation):
            left += node.arguments
            yield node
        elif isinstance(node, NameNode):
            if node.name not in derived:
                yield node
            elif node.name not in visited:
                visited.add(node.name)
                left.append(derived[node.name].value)


def calls_in(nodes: Iterable[Node], function: str) -> Iterator[Operation]:
    """Yield the calls of a function in expressions, in the order of the text."""
    for node in nodes:
        if isinstance(node, Operation):
            if node.function == function:
                yield node
            yield from calls_in(node.arguments, function)


def parse_dynamics(
    *,
    equations: str,
    threshold: str,
    spike_count: str,
    reset: str,
    events: Mapping[str, tuple[str, str]],
    periods: tuple[str, ...],
    hold: tuple[str, ...] | Mapping[str, str] | None,
    after: Mapping[str, str],
    receptors: Mapping[str, str],
    parameters: Mapping[str, str],
    reserved: Iterable[str],
) -> Dynamics:
    """Read and check a model's texts.

    Parameters
    ----------
    equations, threshold, spike_count, reset : str
        The texts.
    events : mapping of str to (str, str)
        Conditions with statements.
    periods : tuple of str
        Parameters of which the sum is the refractory time, in the order of time.
    hold : tuple of str or mapping of str to str, optional
        State variables that rest during it, or until the end of a period; by default the first that
        the threshold names.
    after : mapping of str to str
        Statements at the ends of periods.
    receptors : mapping of str to str
        State variable that each receptor's input is added to, or subtracted from after ``-``; or
        statements that add terms linear in `WEIGHT` to state variables.
    parameters : mapping of str to str
        The parameters' units.
    reserved : iterable of str
        Names that a parameter cannot have.

    Raises
    ------
    DescriptionError
        For the first error; an error in a text is an `EquationError`.
    """
    definitions = read_equations(EquationText("equations", equations))
    states = {
        definition.name.name: definition for definition in definitions if definition.derivative
    }
    derived = {
        definition.name.name: definition for definition in definitions if not definition.derivative
    }
    if not states:
        raise DescriptionError(
            "no differential equation", where="equations", allowed="dV_m/dt = ... : mV"
        )
    noise = {
        name: _PER_ROOT_MS
        for definition in definitions
        for name in names_in(definition.value)
        if is_noise(name) and name not in parameters
    }
    units_by_name = {
        name: unit_named(unit, f"parameter {name}") for name, unit in parameters.items()
    }
    units_by_name |= {definition.name.name: definition.unit for definition in definitions}
    inputs = read_receptors(receptors, units_by_name, states)
    reserved_units = {STIMULI: UNITS["pA"], TIME: MS, STEP_LENGTH: MS, **noise}
    reserved_units |= {input_name(name): definition.unit for name, definition in inputs.items()}
    units = checked_units(definitions, reserved_units, parameters, reserved, [REFRACTORY])
    condition = _condition(EquationText("threshold", threshold), units)
    count = _count(EquationText("spike_count", spike_count), units, condition)
    resets = _assignments(EquationText("reset", reset), units, states)
    if resets and condition is None:
        raise DescriptionError("a reset needs a threshold", where="reset")
    happens = [_event(name, *texts, units, states) for name, texts in events.items()]
    _check_periods(periods, units, parameters, condition)
    ends = _after(after, periods, units, states)
    blocks = [resets, *(event.statements for event in happens), *ends.values()]
    check_sizes([], derived, blocks)
    at_ends = _end_of_step_expressions([condition, count], resets, happens, ends)
    _check_chance(
        [definition.value for definition in states.values()], at_ends, derived, parameters
    )
    added = [node for definition in inputs.values() for _, node in definition.additions]
    nodes = [*(definition.value for definition in definitions), *at_ends, *added]
    for function in (DELAYED, LOWER_GAMMA):
        for call in calls_in(nodes, function):
            raise EquationError(f"neuron models have no {function}()", call.span)
    previous = _previous(nodes, states)
    return Dynamics(
        states,
        derived,
        condition,
        count,
        resets,
        happens,
        units,
        inputs,
        _clamped_states(periods, hold, states, condition),
        ends,
        tuple(noise),
        previous,
    )


def checked_units(
    definitions: list[Definition],
    reserved_units: Mapping[str, Unit],
    parameters: Mapping[str, str],
    reserved: Iterable[str],
    others: Iterable[str] = (),
) -> dict[str, Unit]:
    """Check names and units of a model's equations, and return the units of all names.

    Parameters
    ----------
    definitions : list of Definition
        The equations.
    reserved_units : mapping of str to Unit
        Units of what there is without being defined.
    parameters : mapping of str to str
        The parameters' units.
    reserved : iterable of str
        Names that a parameter cannot have.
    others : iterable of str
        Names that nothing can have.

    Raises
    ------
    DescriptionError
        For the first thing that is wrong.
    """
    units = {name: unit_named(unit, f"parameter {name}") for name, unit in parameters.items()}
    for name in parameters:
        clashes = name in (*reserved, *reserved_units, *others) or name.startswith("__")
        if clashes or not is_name(name):
            why = "is taken" if clashes else "a word that Python or equations use, or none"
            raise DescriptionError(f"not a usable name ({why})", where="parameters", value=name)
    units |= reserved_units
    used = {*units, *others}
    for definition in definitions:
        if definition.name.name in used:
            problem = f"{definition.name.name!r} is taken, or defined twice"
            raise EquationError(problem, definition.name.span)
        used.add(definition.name.name)
        units[definition.name.name] = definition.unit
        if definition.derivative and definition.unit.tens > _MOST_TENS:
            raise EquationError(
                f"too large a unit for {definition.name.name}: values below 1e-20 of it count as 0",
                definition.name.span,
                allowed=f"at most 1e{_MOST_TENS} {definition.unit}",
                hint="use a smaller unit, such as pA**2 in place of A**2",
            )
    for definition in definitions:
        subject = (
            f"the derivative of {definition.name.name}"
            if definition.derivative
            else definition.name.name
        )
        unit = definition.unit.times(MS, -1) if definition.derivative else definition.unit
        require(kind_of(definition.value, units), unit, definition.value.span, subject)
    derived = {
        definition.name.name: definition for definition in definitions if not definition.derivative
    }
    _check_cycles(derived)
    check_sizes([definition.value for definition in definitions], derived)
    return units


def _check_cycles(derived: Mapping[str, Definition]) -> None:
    try:
        _ordered(derived)
    except CycleError as error:
        names = error.args[1]
        span = derived[names[0]].name.span
        raise EquationError(f"defined by itself: {' <- '.join(names)}", span) from None


def _ordered(derived: Mapping[str, Definition]) -> list[str]:
    """Return the sub-expressions' names, each after those that it uses."""
    graph = {
        name: [used for used in names_in(definition.value) if used in derived]
        for name, definition in derived.items()
    }
    return list(TopologicalSorter(graph).static_order())


def check_sizes(
    nodes: Iterable[Node],
    derived: Mapping[str, Definition],
    statements: Iterable[Iterable[tuple[str, Node]]] = (),
) -> None:
    """Check expressions with all sub-expressions put in, and all values that statements assign.

    There are no cycles of sub-expressions.
    """
    sizes: dict[str, tuple[int, int]] = {}

    def size(node: Node) -> tuple[int, int]:
        """Return the number of nodes, and how deep they lie."""
        if isinstance(node, Operation):
            inner = [size(definition) for definition in node.arguments]
            deepest = max((definition for _, definition in inner), default=0)
            return 1 + sum(definition for definition, _ in inner), 1 + deepest
        return sizes.get(node.name, (1, 1)) if isinstance(node, NameNode) else (1, 1)

    def check(node: Node) -> tuple[int, int]:
        count, depth = size(node)
        if count > _LARGEST or depth > _DEEPEST:
            raise EquationError("too large once its sub-expressions are put in", node.span)
        return count, depth

    # what a sub-expression uses comes before it, so that nothing here goes deep
    for name in _ordered(derived):
        sizes[name] = check(derived[name].value)
    for node in nodes:
        check(node)
    of_model = dict(sizes)
    for assignments in statements:
        sizes.clear()
        sizes.update(of_model)
        for name, value in assignments:
            sizes[name] = check(value)


def _check_chance(
    slopes: list[Node],
    at_ends: list[Node],
    derived: Mapping[str, Definition],
    parameters: Mapping[str, str],
) -> None:
    """Check that noise is in differential equations, and random numbers are nowhere else."""
    for leaf in leaves(slopes, derived):
        if isinstance(leaf, Operation):
            raise EquationError(
                f"{leaf.function}() may be drawn in thresholds, resets and events only: a scheme "
                "may evaluate a differential equation several times per step",
                leaf.span,
                hint="use the white noise xi",
            )
    for leaf in leaves(at_ends, derived):
        if isinstance(leaf, NameNode) and is_noise(leaf.name) and leaf.name not in parameters:
            raise EquationError(
                f"the white noise {leaf.name} is defined in differential equations only",
                leaf.span,
                hint="use normal(), a random number for each neuron and step",
            )


def _previous(nodes: list[Node], states: Mapping[str, Definition]) -> tuple[str, ...]:
    """Return the state variables of which the value at the start of the step is used."""
    names: dict[str, None] = {}
    for call in calls_in(nodes, PREVIOUS):
        (argument,) = call.arguments
        if not isinstance(argument, NameNode):
            raise EquationError(
                f"{PREVIOUS}() takes the name of a state variable",
                argument.span,
                allowed=", ".join(states),
            )
        if argument.name not in states:
            raise unknown_at("state variable", argument.name, [*states], argument.span)
        names[argument.name] = None
    return tuple(names)


def _condition(source: EquationText, units: Mapping[str, Unit]) -> Node | None:
    check_text(source)
    if not source.code.strip():
        return None
    node = parse(Span(source, 0, len(source.text)))
    if kind_of(node, units) is not TRUTH:
        raise EquationError("must be a condition", node.span, allowed="such as V_m >= V_th")
    return node


def _count(source: EquationText, units: Mapping[str, Unit], condition: Node | None) -> Node | None:
    check_text(source)
    if not source.code.strip():
        return None
    node = parse(Span(source, 0, len(source.text)))
    if condition is None:
        raise EquationError("a number of spikes needs a threshold", node.span)
    require(kind_of(node, units), ONE, node.span, "the number of spikes")
    return node


def _event(
    name: str,
    condition: str,
    statements: str,
    units: Mapping[str, Unit],
    states: Mapping[str, Definition],
) -> Event:
    if not is_word(name):
        raise DescriptionError("not a usable name", where=f"events, {name!r}")
    node = _condition(EquationText(f"condition of the event {name}", condition), units)
    assignments = _assignments(EquationText(f"event {name}", statements), units, states)
    if not assignments:
        raise DescriptionError("assignments are missing", where=f"events, {name!r}")
    return Event(node, assignments)


def _assignments(
    source: EquationText, units: Mapping[str, Unit], states: Mapping[str, Definition]
) -> list[tuple[str, Node]]:
    assignments, local = read_statements(source, states, units)
    check_locals_used(assignments, local, states)
    return assignments


def _check_periods(
    periods: tuple[str, ...],
    units: Mapping[str, Unit],
    parameters: Mapping[str, str],
    condition: Node | None,
) -> None:
    for name in periods:
        if name not in parameters:
            raise unknown_name_error("parameter", name, parameters, where="refractory")
        if units[name] != MS:
            raise DescriptionError(
                "must be a time in ms", where="refractory", value=parameters[name], allowed="ms"
            )
        if periods.count(name) > 1:
            raise DescriptionError("a period is named twice", where="refractory", value=name)
    if periods and condition is None:
        raise DescriptionError("a refractory time needs a threshold", where="refractory")


def _after(
    texts: Mapping[str, str],
    periods: tuple[str, ...],
    units: Mapping[str, Unit],
    states: Mapping[str, Definition],
) -> dict[str, list[tuple[str, Node]]]:
    statements = {}
    for name, text in texts.items():
        if name not in periods:
            raise unknown_name_error("refractory period", name, periods, where="after")
        statements[name] = _assignments(EquationText(f"after {name}", text), units, states)
        if not statements[name]:
            raise DescriptionError("assignments are missing", where=f"after, {name!r}")
    return statements


def _clamped_states(
    periods: tuple[str, ...],
    hold: tuple[str, ...] | Mapping[str, str] | None,
    states: Mapping[str, Definition],
    condition: Node | None,
) -> dict[str, str]:
    for name in hold or ():
        if name not in states:
            raise unknown_name_error("state variable", name, states, where="hold")
    if not periods:
        if hold:
            raise DescriptionError("needs a refractory time", where="hold", value=", ".join(hold))
        return {}
    if isinstance(hold, Mapping):
        for name, period in hold.items():
            if period not in periods:
                where = f"hold, {name!r}"
                raise unknown_name_error("refractory period", period, periods, where=where)
        return dict(hold)
    if hold is not None:
        return dict.fromkeys(hold, periods[-1])
    for name in names_in(condition) if condition is not None else ():
        if name in states:
            return {name: periods[-1]}
    raise DescriptionError(
        "the threshold names no state variable, so the variables that rest during the refractory "
        "time must be given",
        where="hold",
        allowed=f"{', '.join(states)}; () for none",
    )
