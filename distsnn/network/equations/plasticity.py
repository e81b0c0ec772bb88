"""The texts of a plasticity rule, combined and checked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import NOT_NEGATIVE, POSITIVE, Interval
from distsnn.network.equations.dimensions import (
    MS,
    UNITS,
    Unit,
    kind_of,
    require,
    unit_named,
)
from distsnn.network.equations.dynamics import (
    STEP_LENGTH,
    calls_in,
    checked_units,
    leaves,
)
from distsnn.network.equations.evaluation import evaluate
from distsnn.network.equations.source import EquationError, EquationText, Span
from distsnn.network.equations.statements import (
    Definition,
    check_locals_used,
    read_equations,
    read_statements,
)
from distsnn.network.equations.syntax import (
    LOWER_GAMMA,
    PREVIOUS,
    NameNode,
    Node,
    NumberNode,
    Operation,
    check_text,
    is_name,
    parse,
)
from distsnn.network.equations.target_states import (
    BOUNDS,
    MODULATOR,
    POST,
    PRE,
    SYNAPSE,
    WEIGHT,
    Statements,
    Uses,
    Watch,
    check_seen,
    read_watch,
)

# Under what name checkpoints hold w among the states of synapses.
_SAVED = "weight"
# Under what name they hold the step of the states of sources.
_LAST = "last"
# Interval between the spikes that measure the size of learning steps, ms.
_INTERVAL = 10.0
Monomial = tuple[Node, tuple[str, ...]]


@dataclass(frozen=True)
class Relaxation:
    """Value to which a state of a synapse relaxes between spikes, in the state's unit.

    Attributes
    ----------
    equilibrium : Node
        An expression of parameters, the initial value of the state.
    inputs : tuple of (str, Node)
        States that decay to 0, each with a factor of parameters; their sum adds to `equilibrium`.
    """

    equilibrium: Node
    inputs: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Plasticity:
    """A rule's texts, checked.

    Attributes
    ----------
    variables : dict of str to Definition
        Traces of sources and targets, states of synapses, and the modulator, in the order of the
        text; the flag is the owner.
    derived : dict of str to Definition
        Sub-expressions.
    decays : dict of str to str
        Parameters that are the time constants of variables that decay.
    relaxations : dict of str to Relaxation
        Equilibria of the variables that do not decay to 0.
    events : dict of str to tuple of (str, Node)
        Assignments to variables at spikes of the source (``"pre"``), the target (``"post"``) and
        modulating neurons (``"modulator"``), in order. Other names are local variables.
    transmitted : Node, optional
        What a spike of the source transmits; None: the weight.
    watch : Watch, optional
        What the rule sees of its target's states; ``events["post"]`` is then what steps of the
        target do in place of its spikes.
    drift : tuple of (Node, tuple of str)
        The derivative of the weight between spikes, a sum of products: of each its factor of
        parameters, and its states and modulator.
    units : dict of str to Unit
        Units of all names.
    per_synapse : tuple of str
        Parameters that only weights and states depend on, and so may differ between synapses;
        the bounds are among them.
    """

    variables: dict[str, Definition]
    derived: dict[str, Definition]
    decays: dict[str, str]
    relaxations: dict[str, Relaxation]
    events: dict[str, Statements]
    transmitted: Node | None
    watch: Watch | None
    drift: tuple[Monomial, ...]
    units: dict[str, Unit]
    per_synapse: tuple[str, ...]

    def uses(self, node: Node) -> set[str]:
        """Return the variables and parameters that an expression depends on."""
        return Uses(self.derived)(node)

    @property
    def learns(self) -> bool:
        """Whether spikes, or what they leave, change the weight."""
        return bool(self.drift) or any(
            name == WEIGHT for its in self.events.values() for name, _ in its
        )

    @property
    def relaxes(self) -> bool:
        """Whether what states become between spikes is more than one factor each.

        It is also so where they are what a spike transmits.
        """
        decays = any(name in self.decays for name in self.with_flag(SYNAPSE))
        return bool(self.relaxations) or (self.transmitted is not None and decays)

    def least_time_constants(self) -> dict[str, Interval]:
        """Return the range of each time constant.

        The time constant of a state may be 0 with `relaxes`: the state reaches its equilibrium in
        the next step. If weights change between spikes, rates must be finite.
        """
        ranges = dict.fromkeys(self.decays.values(), POSITIVE)
        if self.relaxes and not self.drift:
            others = {
                tau for name, tau in self.decays.items() if name not in self.with_flag(SYNAPSE)
            }
            ranges |= {tau: NOT_NEGATIVE for tau in ranges if tau not in others}
        return ranges

    def with_flag(self, flag: str) -> tuple[str, ...]:
        """Return the variables with a flag, in the order of the text."""
        return tuple(name for name, definition in self.variables.items() if definition.flag == flag)


def read_plasticity(
    *,
    traces: str,
    on_pre: str,
    on_post: str,
    on_step: str,
    on_modulator: str,
    transmit: str,
    target: Mapping[str, str],
    weight_unit: str,
    parameters: Mapping[str, str],
    reserved: Iterable[str],
    per_source: bool = False,
) -> Plasticity:
    """Read and check a rule's texts.

    Parameters
    ----------
    traces, on_pre, on_post, on_step, on_modulator, transmit : str
        The texts.
    target : mapping of str to str
        Units of the target's states that the rule sees.
    weight_unit : str
        Unit of the weights.
    parameters : mapping of str to str
        The parameters' units.
    reserved : iterable of str
        Names that a parameter cannot have.
    per_source : bool
        Whether all synapses of a source share their states, which then have the flag ``(pre)`` in
        the text, and ``"synapse"`` in the result: they may do what states of a synapse may.

    Raises
    ------
    DescriptionError
        For the first error; an error in a text is an `EquationError`.
    """
    owners = (PRE,) if per_source else (PRE, POST, SYNAPSE, MODULATOR)
    definitions = read_equations(EquationText("traces", traces), owners)
    if per_source:
        definitions = [
            replace(definition, flag=SYNAPSE if definition.derivative else "")
            for definition in definitions
        ]
    unit = unit_named(weight_unit, "weights")
    drifts = [
        definition
        for definition in definitions
        if definition.derivative and definition.name.name == WEIGHT
    ]
    definitions = [definition for definition in definitions if definition not in drifts[:1]]
    for name in BOUNDS:
        if name in parameters:
            why = "is what all rules have: give it as a bound"
            raise DescriptionError(f"not a usable name ({why})", where="parameters", value=name)
    reserved_units = dict.fromkeys((WEIGHT, *BOUNDS), unit) | {STEP_LENGTH: MS}
    for name in target:
        if not is_name(name):
            raise DescriptionError("not the name of a variable", where="target", value=name)
    reserved_units |= {
        f"{name}_{POST}": unit_named(definition, f"target, {name!r}")
        for name, definition in target.items()
    }
    saved = [_LAST] if per_source else [_SAVED]
    units = checked_units(definitions, reserved_units, parameters, reserved, saved)
    variables = {
        definition.name.name: definition for definition in definitions if definition.derivative
    }
    others = [definition for definition in definitions if not definition.derivative]
    derived = {definition.name.name: definition for definition in others if not definition.flag}
    used = Uses(derived)
    target_values = {definition.name.name: definition for definition in others if definition.flag}
    check_seen(target_values, variables, derived, target, on_post, on_step)
    modulators = [definition for definition in variables.values() if definition.flag == MODULATOR]
    if len(modulators) > 1:
        raise EquationError("there is another modulator already", modulators[1].name.span)
    decays, relaxations = _between_spikes(variables, parameters, used)
    states = [name for name, definition in variables.items() if definition.flag == SYNAPSE]
    shared = {tau for name, tau in decays.items() if name not in states}
    events: dict[str, Statements] = {}
    sent: Node | None = None
    shared_locals: dict[str, Unit] = {}
    texts = {PRE: ("on_pre", on_pre), POST: ("on_post", on_post)}
    if target:
        texts[POST] = ("on_step", on_step)
    texts[MODULATOR] = ("on_modulator", on_modulator)
    for side, (title, text) in texts.items():
        variables_of_side = [
            name for name, definition in variables.items() if definition.flag == side
        ]
        if side != MODULATOR:
            variables_of_side += [WEIGHT, *states]
        changed_in = {
            name: f"on_{definition.flag}"
            for name, definition in variables.items()
            if definition.flag not in (side, SYNAPSE)
        }
        statements, local = read_statements(
            EquationText(title, text), variables_of_side, units, changed_in
        )
        events[side] = tuple(statements)
        local_units = {name: variable.unit for name, variable in local.items()}
        if side == PRE and transmit.strip():
            sent = _transmitted(EquationText("transmit", transmit), units | local_units, unit)
        results = [sent] if sent and side == PRE else []
        check_locals_used(statements, local, variables_of_side, results)
        for name, variable in local.items():
            expected = shared_locals.setdefault(name, variable.unit)
            require(variable.unit, expected, variable.span, name)
        foreign = {WEIGHT, *local, *target_values}
        foreign |= {name for name, definition in variables.items() if definition.flag != side}
        for name, value in events[side]:
            if name not in foreign:
                _check_trace(name, value, used, foreign)
                shared |= used(value)
    units |= shared_locals
    _check_chance(definitions, derived, variables, events)
    drift = _drift(drifts[0], variables, derived, relaxations, units) if drifts else ()
    sentences = [value for variables_of_side in events.values() for _, value in variables_of_side]
    sentences += [definition.value for definition in definitions] + ([] if sent is None else [sent])
    for function in [PREVIOUS, *([] if per_source else [LOWER_GAMMA])]:
        for call in calls_in(sentences, function):
            raise EquationError(f"plasticity rules have no {function}()", call.span)
    if (
        sent is None
        and not drift
        and not any(
            name == WEIGHT for variables_of_side in events.values() for name, _ in variables_of_side
        )
    ):
        raise DescriptionError(
            "nothing changes w, and the transmitted value is w",
            where="on_pre, on_post",
            allowed="w = ..., or transmit",
        )
    watch = read_watch(target_values, target, events, sent, used, parameters)
    shared |= set().union(*(used(definition.value) for definition in target_values.values()))
    per_synapse = tuple(name for name in (*parameters, *BOUNDS) if name not in shared)
    return Plasticity(
        *(variables, derived, decays, relaxations, events, sent, watch, drift, units, per_synapse)
    )


def _drift(
    drift: Definition,
    variables: Mapping[str, Definition],
    derived: Mapping[str, Definition],
    relaxations: Mapping[str, Relaxation],
    units: Mapping[str, Unit],
) -> tuple[Monomial, ...]:
    """Return the derivative of the weight as a sum of products."""
    if drift.flag != SYNAPSE:
        raise EquationError(f"{WEIGHT} is the synapse's", drift.name.span, allowed=f"({SYNAPSE})")
    require(drift.unit, units[WEIGHT], drift.value.span, WEIGHT)
    require(kind_of(drift.value, units), units[WEIGHT].times(MS, -1), drift.value.span, "dw/dt")
    used = Uses(derived)
    moving = {
        name
        for name, definition in variables.items()
        if definition.flag in (SYNAPSE, MODULATOR) and name not in relaxations
    }

    def terms(node: Node) -> list[Monomial]:
        if not used(node) & {WEIGHT, *variables}:
            return [(node, ())]
        match node:
            case NameNode(name=name) if name in derived:
                return terms(derived[name].value)
            case NameNode(name=name) if name in moving:
                return [(NumberNode(1.0, node.span), (name,))]
            case Operation("+", given):
                return [definition for part in given for definition in terms(part)]
            case Operation("-", (left, right)):
                return [*terms(left), *terms(Operation("neg", (right,), right.span))]
            case Operation("neg", (part,)):
                return [(Operation("neg", (by,), node.span), names) for by, names in terms(part)]
            case Operation("*", given):
                products: list[Monomial] = [(NumberNode(1.0, node.span), ())]
                for part in given:
                    products = [
                        (Operation("*", (by, factors), node.span), names + others)
                        for by, names in products
                        for factors, others in terms(part)
                    ]
                return products
            case Operation("/", (above, below)) if not used(below) & {WEIGHT, *variables}:
                return [
                    (Operation("/", (by, below), node.span), names) for by, names in terms(above)
                ]
        raise EquationError(
            f"{WEIGHT} may change between spikes by sums of products of states that decay to 0 or "
            "stay, the modulator and parameters",
            node.span,
            allowed=", ".join(sorted(moving)) or "parameters",
        )

    return tuple(terms(drift.value))


def changes(
    rule: Plasticity, parameters: Mapping[str, float], weight: float, modulator: str
) -> list[float]:
    """Return the largest change of a weight by spikes of the source, and of the target.

    Six spikes alternate, 10 ms apart; all of them find the same weight.

    Parameters
    ----------
    rule : Plasticity
        The rule.
    parameters : mapping of str to float
        Parameters and bounds.
    weight : float
        The weight, a magnitude.
    modulator : str
        Population whose spikes modulate; empty: a signal of 1 does.
    """
    derived = {name: expression.value for name, expression in rule.derived.items()}
    scales = {name: 10.0**unit.whole_tens for name, unit in rule.units.items()}
    values = {name: 10.0**unit.whole_tens for name, unit in UNITS.items()}
    values |= {name: value * scales[name] for name, value in parameters.items()}
    modulated = rule.with_flag(MODULATOR)
    values |= {name: 0.0 if modulator else scales[name] for name in modulated}
    values |= dict.fromkeys(
        [*rule.with_flag(PRE), *rule.with_flag(POST), *rule.with_flag(SYNAPSE)], 0.0
    )
    rests = {
        name: float(evaluate(relaxation.equilibrium, values, derived))
        for name, relaxation in rule.relaxations.items()
    }
    values |= rests
    largest = dict.fromkeys((PRE, POST), 0.0)
    fades = {
        name: np.exp(-_INTERVAL / max(parameters[tau], 1e-9))
        for name, tau in rule.decays.items()
        if modulator or name not in modulated  # a signal stays as it is set
    }
    for side in ([MODULATOR] if modulator else []) + 3 * [PRE, POST]:
        values[WEIGHT] = start = weight * scales[WEIGHT]
        for name, node in rule.events[side]:
            values[name] = float(evaluate(node, values, derived))
        if side != MODULATOR:
            for name, fade in fades.items():
                equilibrium = rests.get(name, 0.0)
                values[name] = equilibrium + fade * (values[name] - equilibrium)
            largest[side] = max(largest[side], abs(values[WEIGHT] - start) / scales[WEIGHT])
    return list(largest.values())


def _between_spikes(
    variables: Mapping[str, Definition], parameters: Mapping[str, str], used: Uses
) -> tuple[dict[str, str], dict[str, Relaxation]]:
    """Return time constants of variables, and what they relax to where it is not 0."""
    decays, targets = {}, {}
    for name, definition in variables.items():
        time_constant, terms = _decay(definition, parameters)
        if time_constant:
            decays[name] = time_constant
        if terms:
            targets[name] = terms
    inputs = {
        name
        for name, definition in variables.items()
        if definition.flag == SYNAPSE and name not in targets
    }
    changing = {WEIGHT, *variables}
    return decays, {
        name: _relaxation(name, terms, inputs & decays.keys(), lambda node: used(node) & changing)
        for name, terms in targets.items()
    }


def _decay(definition: Definition, parameters: Mapping[str, str]) -> tuple[str, list[Node]]:
    """Return a variable's time constant and the terms of what it relaxes to; empty for none."""
    own_name = definition.name.name
    match definition.value:
        case NumberNode(value=0.0):
            return "", []
        case Operation(
            "/", (Operation("neg", (NameNode(name=name),)), NameNode(name=tau))
        ) | Operation("neg", (Operation("/", (NameNode(name=name), NameNode(name=tau))),)) if (
            name == own_name and tau in parameters
        ):
            return tau, []
        case Operation(
            "/", (Operation("+" | "-" as sign, given, span=span), NameNode(name=tau))
        ) if definition.flag == SYNAPSE and tau in parameters:
            first, *other_terms = given
            if sign == "-":
                other_terms = [Operation("neg", (term,), span) for term in other_terms]
            terms = [first, *other_terms]
            others = [term for term in terms if not _is_minus(own_name, term)]
            if len(others) == len(terms) - 1:
                return tau, others
    relaxing = f", or (EXPRESSION - {own_name})/TAU" if definition.flag == SYNAPSE else ""
    raise EquationError(
        f"{own_name} may only decay, with a parameter as its time constant",
        definition.value.span,
        allowed=f"-{own_name}/TAU or 0{relaxing}",
    )


def _is_minus(name: str, term: Node) -> bool:
    match term:
        case Operation("neg", (NameNode(name=found),)):
            return found == name
    return False


def _relaxation(
    name: str, terms: list[Node], inputs: set[str], changing: Callable[[Node], set[str]]
) -> Relaxation:
    """Return what a state relaxes to, given the terms, and the states that may be among them."""

    def factor(node: Node) -> tuple[str, Node]:
        """Return the state that a term is proportional to, and the factor."""
        match node:
            case NameNode(name=state) if state in inputs:
                return state, NumberNode(1.0, node.span)
            case Operation("neg", (term,)):
                state, by = factor(term)
                return state, Operation("neg", (by,), node.span)
            case Operation("*", given):
                moving = [term for term in given if changing(term)]
                if len(moving) == 1:
                    state, by = factor(moving[0])
                    fixed = tuple(term for term in given if term is not moving[0])
                    return state, Operation("*", (by, *fixed), node.span)
            case Operation("/", (above, below)) if not changing(below):
                state, by = factor(above)
                return state, Operation("/", (by, below), node.span)
        raise EquationError(
            f"{name} may relax to parameters and states that decay to 0, each times parameters",
            node.span,
            allowed=", ".join(sorted(inputs)) or "parameters",
        )

    fixed = [term for term in terms if not changing(term)]
    moving = [factor(term) for term in terms if changing(term)]
    span = terms[0].span
    equilibrium = fixed[0] if len(fixed) == 1 else Operation("+", tuple(fixed), span)
    return Relaxation(equilibrium if fixed else NumberNode(0.0, span), tuple(moving))


def _transmitted(source: EquationText, units: Mapping[str, Unit], unit: Unit) -> Node:
    """Return what a spike of the source transmits."""
    check_text(source)
    node = parse(Span(source, 0, len(source.text)))
    require(kind_of(node, units), unit, node.span, "the transmitted value")
    return node


def _check_chance(
    definitions: list[Definition],
    derived: Mapping[str, Definition],
    variables: Mapping[str, Definition],
    events: Mapping[str, Statements],
) -> None:
    """Check that random numbers belong to a synapse and a spike of its source."""
    # what sub-expressions draw, those draw that use them
    others = [definition.value for definition in definitions if definition.derivative]
    others += [value for side in (POST, MODULATOR) for _, value in events[side]]
    for leaf in leaves(others, derived):
        if isinstance(leaf, Operation):
            raise EquationError(
                f"{leaf.function}() is drawn for a spike of the source alone",
                leaf.span,
                allowed="in on_pre and transmit",
            )
    for name, value in events[PRE]:
        is_trace = name in variables and variables[name].flag == PRE
        for leaf in leaves([value] if is_trace else [], derived):
            if isinstance(leaf, Operation):
                raise EquationError(
                    f"{name} is the same for all synapses of its neuron: it cannot be random",
                    leaf.span,
                    allowed="traces of the same neuron and parameters",
                )


def _check_trace(name: str, value: Node, used: Uses, others: set[str]) -> None:
    """Check that what a trace becomes depends on no variables but traces of the same neuron."""

    def wrong(node: Node) -> NameNode | None:
        if isinstance(node, NameNode):
            return node if used(node) & others else None
        parts = node.arguments if isinstance(node, Operation) else ()
        return next(filter(None, map(wrong, parts)), None)

    leaf = wrong(value)
    if leaf is not None:
        raise EquationError(
            f"{name} is the same for all synapses of its neuron: it cannot depend on {leaf.name}",
            leaf.span,
            allowed="traces of the same neuron and parameters",
        )
