"""What a plasticity rule sees of its target's states, put together and checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from distsnn.errors import DescriptionError
from distsnn.network.equations.dynamics import calls_in, leaves, names_in
from distsnn.network.equations.source import EquationError
from distsnn.network.equations.statements import Definition
from distsnn.network.equations.syntax import DELAYED, Apply, Name, Node

# What is there without being defined.
WEIGHT, BOUNDS = "w", ("w_max", "w_min")
# Whose a variable is that the texts define.
PRE, POST, SYNAPSE, MODULATOR = "pre", "post", "synapse", "modulator"

Statements = tuple[tuple[str, Node], ...]


class Uses:
    """Tells which variables and parameters an expression depends on."""

    def __init__(self, derived: Mapping[str, Definition]) -> None:
        self._derived = derived

    def __call__(self, node: Node) -> set[str]:
        """Return the names that are no sub-expressions."""
        found, left = set(), names_in(node)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += names_in(self._derived[name].value) if name in self._derived else []
        return found - self._derived.keys()


@dataclass(frozen=True)
class Watch:
    """What a rule sees of the states of its target in each step.

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
        Those of these names that are seen with a delay.
    delay : str
        Parameter that is this delay; empty without.
    """

    values: dict[str, Definition]
    used: dict[str, tuple[str, ...]]
    states: dict[str, str]
    late: tuple[str, ...]
    delay: str


def check_seen(
    seen: Mapping[str, Definition],
    variables: Mapping[str, Definition],
    derived: Mapping[str, Definition],
    target: Mapping[str, str],
    on_post: str,
    on_step: str,
) -> None:
    """Check that what a rule sees of its target depends on the target's states and parameters."""
    for one in seen.values():
        if one.flag != POST or not target:
            raise EquationError(
                "a sub-expression has a flag where it is a value of the target's states",
                one.name.at,
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
    for one in variables.values():
        if target and one.flag == POST:
            raise EquationError(
                "a rule that sees its target's states has no traces of its spikes", one.name.at
            )
    expressions = [one.value for one in (*seen.values(), *derived.values())]
    of_target = {f"{name}_{POST}" for name in target}
    for leaf in leaves([one.value for one in seen.values()], derived):
        if isinstance(leaf, Apply) or leaf.name in (WEIGHT, *BOUNDS, *variables, *seen):
            raise EquationError(
                "a value of the target depends on its states and parameters alone", leaf.at
            )
    for leaf in leaves([one.value for one in derived.values()], {}):
        if isinstance(leaf, Name) and leaf.name in of_target:
            raise EquationError(
                f"{leaf.name} may be used in values of the target only",
                leaf.at,
                allowed=f"NAME = EXPRESSION : UNIT ({POST})",
            )
    for call in calls_in(expressions, DELAYED):
        state, delay = call.arguments
        if not (isinstance(state, Name) and state.name in of_target):
            raise EquationError(
                f"{DELAYED}() takes a state of the target",
                state.at,
                allowed=", ".join(sorted(of_target)) or "none, without `target`",
            )
        if not isinstance(delay, Name):
            raise EquationError(f"{DELAYED}() takes a parameter as the delay", delay.at)


def read_watch(
    seen: Mapping[str, Definition],
    target: Mapping[str, str],
    events: Mapping[str, Statements],
    sent: Node | None,
    used: Uses,
    parameters: Mapping[str, str],
) -> Watch | None:
    """Return what a rule sees of its target's states."""
    by_name = {f"{name}_{POST}": name for name in target}
    found = {}
    for side, most in ((PRE, 1), (POST, len(seen)), (MODULATOR, 0)):
        values = [value for _, value in events[side]] + ([sent] if side == PRE and sent else [])
        for value in values:
            for leaf in leaves([value], {}):
                if isinstance(leaf, Name) and leaf.name in by_name:
                    raise EquationError(
                        f"{leaf.name} may be used in values of the target only",
                        leaf.at,
                        allowed=f"NAME = EXPRESSION : UNIT ({POST})",
                    )
            for call in calls_in([value], DELAYED):
                raise EquationError(f"{DELAYED}() is for values of the target", call.at)
        its = set().union(*map(used, values)) & seen.keys()
        if len(its) > most or (side == POST and target and values and not its):
            raise DescriptionError(
                f"the statements use {'several values' if its else 'no value'} of the target",
                where={PRE: "on_pre", POST: "on_step"}.get(side, f"on_{side}"),
                value=", ".join(sorted(its)),
                allowed=_allowed(side, seen),
            )
        found[side] = tuple(name for name in seen if name in its)
    if not target:
        return None
    used_values = {name for names in found.values() for name in names}
    values = [one.value for name, one in seen.items() if name in used_values]
    calls = [*calls_in(values, DELAYED)]
    delays = {names_in(call)[1]: call for call in calls}
    if len(delays) > 1 or delays.keys() - parameters.keys():
        raise EquationError(
            f"all {DELAYED}() of a rule have the same parameter as the delay", calls[-1].at
        )
    late = {names_in(call)[0] for call in calls}
    names = [name for value in values for name in names_in(value)]
    for call in calls:
        (state, _) = names_in(call)
        if names.count(state) > sum(names_in(one)[0] == state for one in calls):
            raise EquationError(f"{state} is seen with a delay and without", call.at)
    states = {name: state for name, state in by_name.items() if name in names}
    return Watch(
        dict(seen),
        found,
        states,
        tuple(name for name in states if name in late),
        next(iter(delays), ""),
    )


def _allowed(side: str, seen: Mapping[str, Definition]) -> str:
    """Return which values of the target the statements of a side may use."""
    names = ", ".join(seen)
    return {PRE: f"one of {names}", POST: f"at least one of {names}"}.get(side, "none")
