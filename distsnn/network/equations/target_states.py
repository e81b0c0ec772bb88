"""States of the target that a plasticity rule follows, put together and checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from distsnn.errors import DescriptionError
from distsnn.network.equations.dynamics import calls_in, leaves
from distsnn.network.equations.source import EquationError
from distsnn.network.equations.statements import Definition
from distsnn.network.equations.syntax import DELAYED, NameNode, Node, Operation, names_in

# Predefined names.
WEIGHT, BOUNDS = "w", ("w_max", "w_min")
# Whose a variable is that the texts define.
PRE, POST, SYNAPSE, MODULATOR = "pre", "post", "synapse", "modulator"

Statements = tuple[tuple[str, Node], ...]


class Uses:
    """Finds the variables and parameters on which an expression depends."""

    def __init__(self, derived: Mapping[str, Definition]) -> None:
        self._derived = derived

    def __call__(self, node: Node) -> set[str]:
        """Return the names that are no sub-expressions."""
        names, pending = set(), names_in(node)
        while pending:
            name = pending.pop()
            if name not in names:
                names.add(name)
                pending += names_in(self._derived[name].value) if name in self._derived else []
        return names - self._derived.keys()


@dataclass(frozen=True)
class Watch:
    """States of its target that a rule follows in each step.

    Attributes
    ----------
    values : dict of str to Definition
        Functions of the target's states and of parameters.
    used : dict of str to tuple of str
        The values that the statements use for a step of the target (``"post"``), and that for a
        spike of the source (``"pre"``), which is one at most.
    states : dict of str to str
        The target's states by their names in expressions.
    late : tuple of str
        Names of states that are used with a delay.
    delay : str
        Parameter that is this delay; empty without.
    """

    values: dict[str, Definition]
    used: dict[str, tuple[str, ...]]
    states: dict[str, str]
    late: tuple[str, ...]
    delay: str


def check_seen(
    target_values: Mapping[str, Definition],
    variables: Mapping[str, Definition],
    derived: Mapping[str, Definition],
    target: Mapping[str, str],
    on_post: str,
    on_step: str,
) -> None:
    """Check that what a rule sees of its target depends on the target's states and parameters."""
    for definition in target_values.values():
        if definition.flag != POST or not target:
            raise EquationError(
                "a sub-expression has a flag where it is a value of the target's states",
                definition.name.span,
                allowed=f"({POST}), with the states in `target`",
            )
    if not target and on_step.strip():
        raise DescriptionError("steps of a target need its states", where="target")
    if target and on_post.strip():
        raise DescriptionError(
            "a rule that sees its target's states does not follow its spikes",
            where="on_post",
            allowed="on_step",
        )
    for definition in variables.values():
        if target and definition.flag == POST:
            raise EquationError(
                "a rule that sees its target's states has no traces of its spikes",
                definition.name.span,
            )
    expressions = [definition.value for definition in (*target_values.values(), *derived.values())]
    of_target = {f"{name}_{POST}" for name in target}
    for leaf in leaves([definition.value for definition in target_values.values()], derived):
        if isinstance(leaf, Operation) or leaf.name in (
            WEIGHT,
            *BOUNDS,
            *variables,
            *target_values,
        ):
            raise EquationError(
                "a value of the target depends on its states and parameters alone", leaf.span
            )
    for leaf in leaves([definition.value for definition in derived.values()], {}):
        if isinstance(leaf, NameNode) and leaf.name in of_target:
            raise EquationError(
                f"{leaf.name} may be used in values of the target only",
                leaf.span,
                allowed=f"NAME = EXPRESSION : UNIT ({POST})",
            )
    for call in calls_in(expressions, DELAYED):
        state, delay = call.arguments
        if not (isinstance(state, NameNode) and state.name in of_target):
            raise EquationError(
                f"{DELAYED}() takes a state of the target",
                state.span,
                allowed=", ".join(sorted(of_target)) or "none, without `target`",
            )
        if not isinstance(delay, NameNode):
            raise EquationError(f"{DELAYED}() takes a parameter as the delay", delay.span)


def read_watch(
    target_values: Mapping[str, Definition],
    target: Mapping[str, str],
    events: Mapping[str, Statements],
    sent: Node | None,
    used: Uses,
    parameters: Mapping[str, str],
) -> Watch | None:
    """Return what a rule sees of its target's states."""
    by_name = {f"{name}_{POST}": name for name in target}
    values_by_side = {}
    for side, max_values in ((PRE, 1), (POST, len(target_values)), (MODULATOR, 0)):
        values = [value for _, value in events[side]] + ([sent] if side == PRE and sent else [])
        for value in values:
            for leaf in leaves([value], {}):
                if isinstance(leaf, NameNode) and leaf.name in by_name:
                    raise EquationError(
                        f"{leaf.name} may be used in values of the target only",
                        leaf.span,
                        allowed=f"NAME = EXPRESSION : UNIT ({POST})",
                    )
            for call in calls_in([value], DELAYED):
                raise EquationError(f"{DELAYED}() is for values of the target", call.span)
        its = set().union(*map(used, values)) & target_values.keys()
        if len(its) > max_values or (side == POST and target and values and not its):
            raise DescriptionError(
                f"the statements use {'several values' if its else 'no value'} of the target",
                where={PRE: "on_pre", POST: "on_step"}.get(side, f"on_{side}"),
                value=", ".join(sorted(its)),
                allowed=_allowed(side, target_values),
            )
        values_by_side[side] = tuple(name for name in target_values if name in its)
    if not target:
        return None
    used_values = {name for names in values_by_side.values() for name in names}
    values = [definition.value for name, definition in target_values.items() if name in used_values]
    calls = [*calls_in(values, DELAYED)]
    delays = {names_in(call)[1]: call for call in calls}
    if len(delays) > 1 or delays.keys() - parameters.keys():
        raise EquationError(
            f"all {DELAYED}() of a rule have the same parameter as the delay", calls[-1].span
        )
    late = {names_in(call)[0] for call in calls}
    names = [name for value in values for name in names_in(value)]
    for call in calls:
        (state, _) = names_in(call)
        if names.count(state) > sum(names_in(definition)[0] == state for definition in calls):
            raise EquationError(f"{state} is seen with a delay and without", call.span)
    states = {name: state for name, state in by_name.items() if name in names}
    return Watch(
        dict(target_values),
        values_by_side,
        states,
        tuple(name for name in states if name in late),
        next(iter(delays), ""),
    )


def _allowed(side: str, target_values: Mapping[str, Definition]) -> str:
    """Return which values of the target the statements of a side may use."""
    names = ", ".join(target_values)
    return {PRE: f"one of {names}", POST: f"at least one of {names}"}.get(side, "none")
