"""What the texts of a rule of plasticity say, put together and checked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import NOT_NEGATIVE, POSITIVE, Range
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
from distsnn.network.equations.dynamics import (
    STEP_LENGTH,
    calls_in,
    checked_units,
    leaves,
    names_in,
)
from distsnn.network.equations.evaluation import evaluate
from distsnn.network.equations.source import EquationError, Source, Span, unknown_at
from distsnn.network.equations.statements import Definition, read_assignments, read_equations
from distsnn.network.equations.syntax import (
    PREVIOUS,
    Apply,
    Name,
    Node,
    Number,
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
# Between two spikes of those that tell how large steps of learning are, ms.
_INTERVAL = 10.0
Monomial = tuple[Node, tuple[str, ...]]


@dataclass(frozen=True)
class Relaxation:
    """What a state of a synapse relaxes to between spikes, in the state's unit.

    Attributes
    ----------
    rest : Node
        An expression of parameters; the state begins at it.
    inputs : tuple of (str, Node)
        States that decay to 0, each with a factor of parameters: their sum is added to `rest`.
    """

    rest: Node
    inputs: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Plasticity:
    """A rule's texts, checked.

    Attributes
    ----------
    variables : dict of str to Definition
        Traces of sources and targets, states of synapses, and the modulator, in the order of the
        text; whose each is says its flag.
    derived : dict of str to Definition
        Sub-expressions.
    decays : dict of str to str
        Parameters that are the time constants of variables that decay.
    relaxations : dict of str to Relaxation
        What those of these variables relax to that do not decay to 0.
    events : dict of str to tuple of (str, Node)
        What variables become at spikes of the source (``"pre"``), the target (``"post"``) and of
        modulating neurons (``"modulator"``), in this order. Names that are no variables are those
        of intermediate values.
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
        decays = any(name in self.decays for name in self.of(SYNAPSE))
        return bool(self.relaxations) or (self.transmitted is not None and decays)

    def least_time_constants(self) -> dict[str, Range]:
        """Return the range of each time constant.

        That of a state may be 0 where `relaxes`: the state is at rest in the next step. Where
        weights change between spikes, rates must be finite.
        """
        found = dict.fromkeys(self.decays.values(), POSITIVE)
        if self.relaxes and not self.drift:
            others = {tau for name, tau in self.decays.items() if name not in self.of(SYNAPSE)}
            found |= {tau: NOT_NEGATIVE for tau in found if tau not in others}
        return found

    def of(self, flag: str) -> tuple[str, ...]:
        """Return the variables with a flag, in the order of the text."""
        return tuple(name for name, one in self.variables.items() if one.flag == flag)


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

    Raises
    ------
    DescriptionError
        For the first thing that is wrong; what is wrong in a text is an `EquationError`.
    """
    definitions = read_equations(Source("traces", traces), (PRE, POST, SYNAPSE, MODULATOR))
    unit = unit_named(weight_unit, "weights")
    drifts = [one for one in definitions if one.derivative and one.name.name == WEIGHT]
    definitions = [one for one in definitions if one not in drifts[:1]]
    for name in BOUNDS:
        if name in parameters:
            why = "is what all rules have: give it as a bound"
            raise DescriptionError(f"not a usable name ({why})", where="parameters", value=name)
    own = dict.fromkeys((WEIGHT, *BOUNDS), unit) | {STEP_LENGTH: MS}
    for name in target:
        if not is_name(name):
            raise DescriptionError("not the name of a variable", where="target", value=name)
    own |= {f"{name}_{POST}": unit_named(one, f"target, {name!r}") for name, one in target.items()}
    units = checked_units(definitions, own, parameters, reserved, [_SAVED])
    variables = {one.name.name: one for one in definitions if one.derivative}
    others = [one for one in definitions if not one.derivative]
    derived = {one.name.name: one for one in others if not one.flag}
    used = Uses(derived)
    seen = {one.name.name: one for one in others if one.flag}
    check_seen(seen, variables, derived, target, on_post, on_step)
    modulators = [one for one in variables.values() if one.flag == MODULATOR]
    if len(modulators) > 1:
        raise EquationError("there is another modulator already", modulators[1].name.at)
    decays, relaxations = _between_spikes(variables, parameters, used)
    states = [name for name, one in variables.items() if one.flag == SYNAPSE]
    shared = {tau for name, tau in decays.items() if name not in states}
    events: dict[str, Statements] = {}
    sent: Node | None = None
    intermediate: dict[str, Unit] = {}
    texts = {PRE: ("on_pre", on_pre), POST: ("on_post", on_post)}
    if target:
        texts[POST] = ("on_step", on_step)
    texts[MODULATOR] = ("on_modulator", on_modulator)
    for side, (title, text) in texts.items():
        its = [name for name, one in variables.items() if one.flag == side]
        if side != MODULATOR:
            its += [WEIGHT, *states]
        known = dict(units)
        statements, places = _assignments(Source(title, text), its, variables, known)
        events[side] = tuple(statements)
        if side == PRE and transmit.strip():
            sent = _transmitted(Source("transmit", transmit), known, unit)
        values = [value for _, value in statements]
        _check_needed(places, [*values, sent] if sent and side == PRE else values, its)
        for name, at in places.items():
            require(known[name], intermediate.setdefault(name, known[name]), at, name)
        foreign = {WEIGHT, *places, *seen}
        foreign |= {name for name, one in variables.items() if one.flag != side}
        for name, value in events[side]:
            if name not in foreign:
                _check_trace(name, value, used, foreign)
                shared |= used(value)
    units |= intermediate
    _check_chance(definitions, derived, variables, events)
    drift = _drift(drifts[0], variables, derived, relaxations, units) if drifts else ()
    sentences = [value for its in events.values() for _, value in its]
    sentences += [one.value for one in definitions] + ([] if sent is None else [sent])
    for call in calls_in(sentences, PREVIOUS):
        raise EquationError(f"plasticity rules have no {PREVIOUS}()", call.at)
    if (
        sent is None
        and not drift
        and not any(name == WEIGHT for its in events.values() for name, _ in its)
    ):
        raise DescriptionError(
            "nothing changes w, and what is transmitted is w",
            where="on_pre, on_post",
            allowed="w = ..., or transmit",
        )
    watch = read_watch(seen, target, events, sent, used, parameters)
    shared |= set().union(*(used(one.value) for one in seen.values()))
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
        raise EquationError(f"{WEIGHT} is the synapse's", drift.name.at, allowed=f"({SYNAPSE})")
    require(drift.unit, units[WEIGHT], drift.value.at, WEIGHT)
    require(kind_of(drift.value, units), units[WEIGHT].times(MS, -1), drift.value.at, "dw/dt")
    used = Uses(derived)
    moving = {
        name
        for name, one in variables.items()
        if one.flag in (SYNAPSE, MODULATOR) and name not in relaxations
    }

    def terms(node: Node) -> list[Monomial]:
        if not used(node) & {WEIGHT, *variables}:
            return [(node, ())]
        match node:
            case Name(name=name) if name in derived:
                return terms(derived[name].value)
            case Name(name=name) if name in moving:
                return [(Number(1.0, node.at), (name,))]
            case Apply("+", given):
                return [one for part in given for one in terms(part)]
            case Apply("-", (left, right)):
                return [*terms(left), *terms(Apply("neg", (right,), right.at))]
            case Apply("neg", (part,)):
                return [(Apply("neg", (by,), node.at), names) for by, names in terms(part)]
            case Apply("*", given):
                products: list[Monomial] = [(Number(1.0, node.at), ())]
                for part in given:
                    products = [
                        (Apply("*", (by, more), node.at), names + others)
                        for by, names in products
                        for more, others in terms(part)
                    ]
                return products
            case Apply("/", (above, below)) if not used(below) & {WEIGHT, *variables}:
                return [(Apply("/", (by, below), node.at), names) for by, names in terms(above)]
        raise EquationError(
            f"{WEIGHT} may change between spikes by sums of products of states that decay to 0 or "
            "stay, the modulator and parameters",
            node.at,
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
    derived = {name: one.value for name, one in rule.derived.items()}
    scales = {name: 10.0**unit.whole_tens for name, unit in rule.units.items()}
    values = {name: 10.0**unit.whole_tens for name, unit in UNITS.items()}
    values |= {name: value * scales[name] for name, value in parameters.items()}
    modulated = rule.of(MODULATOR)
    values |= {name: 0.0 if modulator else scales[name] for name in modulated}
    values |= dict.fromkeys([*rule.of(PRE), *rule.of(POST), *rule.of(SYNAPSE)], 0.0)
    rests = {
        name: float(evaluate(one.rest, values, derived)) for name, one in rule.relaxations.items()
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
                rest = rests.get(name, 0.0)
                values[name] = rest + fade * (values[name] - rest)
            largest[side] = max(largest[side], abs(values[WEIGHT] - start) / scales[WEIGHT])
    return list(largest.values())


def _between_spikes(
    variables: Mapping[str, Definition], parameters: Mapping[str, str], used: Uses
) -> tuple[dict[str, str], dict[str, Relaxation]]:
    """Return time constants of variables, and what they relax to where it is not 0."""
    decays, targets = {}, {}
    for name, one in variables.items():
        time_constant, terms = _decay(one, parameters)
        if time_constant:
            decays[name] = time_constant
        if terms:
            targets[name] = terms
    inputs = {
        name for name, one in variables.items() if one.flag == SYNAPSE and name not in targets
    }
    changing = {WEIGHT, *variables}
    return decays, {
        name: _relaxation(name, terms, inputs & decays.keys(), lambda node: used(node) & changing)
        for name, terms in targets.items()
    }


def _decay(one: Definition, parameters: Mapping[str, str]) -> tuple[str, list[Node]]:
    """Return a variable's time constant and the terms of what it relaxes to; empty for none."""
    own = one.name.name
    match one.value:
        case Number(value=0.0):
            return "", []
        case Apply("/", (Apply("neg", (Name(name=name),)), Name(name=tau))) | Apply(
            "neg", (Apply("/", (Name(name=name), Name(name=tau))),)
        ) if name == own and tau in parameters:
            return tau, []
        case Apply("/", (Apply("+" | "-" as sign, given, at=at), Name(name=tau))) if (
            one.flag == SYNAPSE and tau in parameters
        ):
            first, *rest = given
            if sign == "-":
                rest = [Apply("neg", (term,), at) for term in rest]
            terms = [first, *rest]
            others = [term for term in terms if not _is_minus(own, term)]
            if len(others) == len(terms) - 1:
                return tau, others
    relaxing = f", or (EXPRESSION - {own})/TAU" if one.flag == SYNAPSE else ""
    raise EquationError(
        f"{own} may only decay, with a parameter as its time constant",
        one.value.at,
        allowed=f"-{own}/TAU or 0{relaxing}",
    )


def _is_minus(name: str, term: Node) -> bool:
    match term:
        case Apply("neg", (Name(name=found),)):
            return found == name
    return False


def _relaxation(
    name: str, terms: list[Node], inputs: set[str], changing: Callable[[Node], set[str]]
) -> Relaxation:
    """Return what a state relaxes to, given the terms, and the states that may be among them."""

    def factor(node: Node) -> tuple[str, Node]:
        """Return the state that a term is proportional to, and the factor."""
        match node:
            case Name(name=found) if found in inputs:
                return found, Number(1.0, node.at)
            case Apply("neg", (term,)):
                found, by = factor(term)
                return found, Apply("neg", (by,), node.at)
            case Apply("*", given):
                moving = [one for one in given if changing(one)]
                if len(moving) == 1:
                    found, by = factor(moving[0])
                    fixed = tuple(one for one in given if one is not moving[0])
                    return found, Apply("*", (by, *fixed), node.at)
            case Apply("/", (above, below)) if not changing(below):
                found, by = factor(above)
                return found, Apply("/", (by, below), node.at)
        raise EquationError(
            f"{name} may relax to parameters and states of the synapse that decay to 0, each "
            "times parameters",
            node.at,
            allowed=", ".join(sorted(inputs)) or "parameters",
        )

    fixed = [one for one in terms if not changing(one)]
    moving = [factor(one) for one in terms if changing(one)]
    at = terms[0].at
    rest = fixed[0] if len(fixed) == 1 else Apply("+", tuple(fixed), at)
    return Relaxation(rest if fixed else Number(0.0, at), tuple(moving))


def _assignments(
    source: Source,
    its: list[str],
    variables: Mapping[str, Definition],
    units: dict[str, Unit],
) -> tuple[list[tuple[str, Node]], dict[str, Span]]:
    """Return statements, and intermediate values with their places; `units` gets their units."""
    found, own = [], {}
    for name, value in read_assignments(source):
        changed = isinstance(value, Apply) and value.arguments[:1] == (name,)
        if name.name not in its and (name.name in units or name.name in UNITS or changed):
            whose = variables[name.name].flag if name.name in variables else SYNAPSE
            if whose != SYNAPSE:
                raise EquationError(
                    f"{name.name} changes with other spikes", name.at, allowed=f"in on_{whose}"
                )
            if name.name not in own:
                raise unknown_at("variable", name.name, its, name.at)
        kind = kind_of(value, units)
        if name.name not in units:
            if kind is TRUTH:
                raise EquationError(f"{name.name} is a condition, not a number", value.at)
            units[name.name] = Unit(kind.powers) if isinstance(kind, Unit) else ONE
            own[name.name] = name.at
        require(kind, units[name.name], value.at, name.name)
        found.append((name.name, value))
    return found, own


def _transmitted(source: Source, units: Mapping[str, Unit], unit: Unit) -> Node:
    """Return what a spike of the source transmits."""
    check_text(source)
    node = parse(Span(source, 0, len(source.text)))
    require(kind_of(node, units), unit, node.at, "what is transmitted")
    return node


def _check_needed(own: Mapping[str, Span], values: list[Node], its: list[str]) -> None:
    """Check that all intermediate values are used: what is not may be a misspelt variable."""
    needed = {name for node in values for name in names_in(node)}
    for name, at in own.items():
        if name not in needed:
            raise unknown_at("variable", name, its, at)


def _check_chance(
    definitions: list[Definition],
    derived: Mapping[str, Definition],
    variables: Mapping[str, Definition],
    events: Mapping[str, Statements],
) -> None:
    """Check that random numbers belong to a synapse and a spike of its source."""
    # what sub-expressions draw, those draw that use them
    others = [one.value for one in definitions if one.derivative]
    others += [value for side in (POST, MODULATOR) for _, value in events[side]]
    for leaf in leaves(others, derived):
        if isinstance(leaf, Apply):
            raise EquationError(
                f"{leaf.function}() is drawn for a spike of the source alone",
                leaf.at,
                allowed="in on_pre and transmit",
            )
    for name, value in events[PRE]:
        is_trace = name in variables and variables[name].flag == PRE
        for leaf in leaves([value] if is_trace else [], derived):
            if isinstance(leaf, Apply):
                raise EquationError(
                    f"{name} is the same for all synapses of its neuron: it cannot be random",
                    leaf.at,
                    allowed="traces of the same neuron and parameters",
                )


def _check_trace(name: str, value: Node, used: Uses, others: set[str]) -> None:
    """Check that what a trace becomes depends on no variables but traces of the same neuron."""

    def wrong(node: Node) -> Name | None:
        if isinstance(node, Name):
            return node if used(node) & others else None
        parts = node.arguments if isinstance(node, Apply) else ()
        return next(filter(None, map(wrong, parts)), None)

    found = wrong(value)
    if found is not None:
        raise EquationError(
            f"{name} is the same for all synapses of its neuron: it cannot depend on {found.name}",
            found.at,
            allowed="traces of the same neuron and parameters",
        )
