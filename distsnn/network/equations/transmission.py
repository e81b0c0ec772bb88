"""The texts of a synapse model with states of sources, combined and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from distsnn.errors import DescriptionError
from distsnn.network.checks import POSITIVE, Interval
from distsnn.network.equations.dynamics import calls_in, leaves
from distsnn.network.equations.plasticity import Plasticity, read_plasticity
from distsnn.network.equations.source import EquationError
from distsnn.network.equations.syntax import LOWER_GAMMA, NameNode, Node, NumberNode, Operation
from distsnn.network.equations.target_states import BOUNDS, PRE, WEIGHT


@dataclass(frozen=True)
class Transmission:
    """A synapse model's texts, checked.

    Attributes
    ----------
    rule : Plasticity
        The texts as those of a rule that changes no weight, with the states of the source in place
        of the synapse's.
    factor : Node
        The factor of the weights, after the statements of a spike.
    """

    rule: Plasticity
    factor: Node

    def least_time_constants(self) -> dict[str, Interval]:
        """Return the range of each time constant: it may be 0 unless states relax to others."""
        ranges = self.rule.least_time_constants()
        for name, relaxation in self.rule.relaxations.items():
            if relaxation.inputs:
                for state in (name, *(other for other, _ in relaxation.inputs)):
                    ranges[self.rule.decays[state]] = POSITIVE
        return ranges


def read_transmission(
    *,
    traces: str,
    on_pre: str,
    transmit: str,
    parameters: Mapping[str, str],
    reserved: Iterable[str],
) -> Transmission:
    """Read and check a synapse model's texts.

    Parameters
    ----------
    traces, on_pre, transmit : str
        The texts.
    parameters : mapping of str to str
        The parameters' units.
    reserved : iterable of str
        Names that a parameter cannot have.

    Raises
    ------
    DescriptionError
        For the first error; an error in a text is an `EquationError`.
    """
    if not transmit.strip():
        raise DescriptionError("is missing", where="transmit", allowed=f'such as "{WEIGHT}*u"')
    rule = read_plasticity(
        traces=traces,
        on_pre=on_pre,
        on_post="",
        on_step="",
        target={},
        on_modulator="",
        transmit=transmit,
        weight_unit="1",
        parameters=parameters,
        reserved=reserved,
        per_source=True,
    )
    if rule.learns or rule.transmitted is None:
        raise DescriptionError(
            "the text changes the weight, which synapse models only multiply",
            where="traces" if rule.drift else "on_pre",
            value=WEIGHT,
            allowed="statements that change states of the source",
            hint="use a PlasticityModel for weights that change",
        )
    model = Transmission(rule, _factor_of(rule.transmitted, rule))
    _check_expressions(model, parameters)
    return model


def _factor_of(node: Node, rule: Plasticity) -> Node:
    """Return what an expression multiplies the weight by."""
    match node:
        case NameNode(name=name) if name == WEIGHT:
            return NumberNode(1.0, node.span)
        case Operation("neg", (part,)):
            return Operation("neg", (_factor_of(part, rule),), node.span)
        case Operation("/", (above, below)) if WEIGHT not in rule.uses(below):
            return Operation("/", (_factor_of(above, rule), below), node.span)
        case Operation("*", factors):
            weighted = [factor for factor in factors if WEIGHT in rule.uses(factor)]
            if len(weighted) == 1:
                others = tuple(factor for factor in factors if factor is not weighted[0])
                if not isinstance(weighted[0], NameNode):
                    others = (_factor_of(weighted[0], rule), *others)
                return others[0] if len(others) == 1 else Operation("*", others, node.span)
    raise EquationError(
        f"the transmitted value must be {WEIGHT} times a factor",
        node.span,
        allowed=f"such as {WEIGHT}*u*x",
    )


def _check_expressions(model: Transmission, parameters: Mapping[str, str]) -> None:
    """Check that states and factor depend on what all ranks know of a source: not on weights."""
    rule = model.rule
    expressions = [definition.value for definition in rule.derived.values()]
    expressions += [definition.value for definition in rule.variables.values()]
    expressions += [*(value for _, value in rule.events[PRE]), model.factor]
    for leaf in leaves(expressions, {}):
        if isinstance(leaf, Operation):
            raise EquationError(
                f"{leaf.function}() would be the same for all synapses of a source",
                leaf.span,
                hint="use a PlasticityModel, which draws random numbers for each synapse",
            )
        if leaf.name in (WEIGHT, *BOUNDS):
            raise EquationError(
                f"states of a source and the factor of its weights cannot depend on {leaf.name}",
                leaf.span,
            )
    for call in calls_in(expressions, LOWER_GAMMA):
        varying = rule.uses(call) - parameters.keys()
        if varying & {*rule.variables, *(name for name, _ in rule.events[PRE])}:
            raise EquationError(f"{LOWER_GAMMA}() takes parameters alone", call.span)
