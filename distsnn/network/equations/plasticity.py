"""What the texts of a rule of plasticity say, put together and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.equations.dimensions import UNITS, Unit, kind_of, require, unit_named
from distsnn.network.equations.dynamics import calls_in, checked_units, leaves, names_in
from distsnn.network.equations.evaluation import evaluate
from distsnn.network.equations.source import EquationError, Source, unknown_at
from distsnn.network.equations.statements import Definition, read_assignments, read_equations
from distsnn.network.equations.syntax import PREVIOUS, Apply, Name, Node, Number

# What is there without being defined.
WEIGHT, BOUNDS = "w", ("w_max", "w_min")
# Under what name checkpoints hold w among the states of synapses.
_SAVED = "weight"
# Between two spikes of those that tell how large steps of learning are, ms.
_INTERVAL = 10.0
# Whose a variable is that the texts define.
PRE, POST, SYNAPSE, MODULATOR = "pre", "post", "synapse", "modulator"

Statements = tuple[tuple[str, Node], ...]


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
    events : dict of str to tuple of (str, Node)
        What variables become at spikes of the source (``"pre"``), the target (``"post"``) and of
        modulating neurons (``"modulator"``), in this order.
    units : dict of str to Unit
        Units of all names.
    per_synapse : tuple of str
        Parameters that only weights and states depend on, and so may differ between synapses;
        the bounds are among them.
    """

    variables: dict[str, Definition]
    derived: dict[str, Definition]
    decays: dict[str, str]
    events: dict[str, Statements]
    units: dict[str, Unit]
    per_synapse: tuple[str, ...]

    def uses(self, node: Node) -> set[str]:
        """Return the variables and parameters that an expression depends on."""
        return _Uses(self.derived)(node)

    def of(self, flag: str) -> tuple[str, ...]:
        """Return the variables with a flag, in the order of the text."""
        return tuple(name for name, one in self.variables.items() if one.flag == flag)


def read_plasticity(
    *,
    traces: str,
    on_pre: str,
    on_post: str,
    on_modulator: str,
    weight_unit: str,
    parameters: Mapping[str, str],
    reserved: Iterable[str],
) -> Plasticity:
    """Read and check a rule's texts.

    Parameters
    ----------
    traces, on_pre, on_post, on_modulator : str
        The texts.
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
    for name in BOUNDS:
        if name in parameters:
            why = "is what all rules have: give it as a bound"
            raise DescriptionError(f"not a usable name ({why})", where="parameters", value=name)
    own = dict.fromkeys((WEIGHT, *BOUNDS), unit)
    units = checked_units(definitions, own, parameters, reserved, [_SAVED])
    variables = {one.name.name: one for one in definitions if one.derivative}
    derived = {one.name.name: one for one in definitions if not one.derivative}
    used = _Uses(derived)
    decays = {}
    modulators = [one for one in variables.values() if one.flag == MODULATOR]
    if len(modulators) > 1:
        raise EquationError("there is another modulator already", modulators[1].name.at)
    for name, one in variables.items():
        time_constant = _decay(one, parameters)
        if time_constant:
            decays[name] = time_constant
    events, shared = {}, set(decays.values())
    for side, text in ((PRE, on_pre), (POST, on_post), (MODULATOR, on_modulator)):
        its = [name for name, one in variables.items() if one.flag == side]
        if side != MODULATOR:
            its += [WEIGHT, *(name for name, one in variables.items() if one.flag == SYNAPSE)]
        events[side] = tuple(_assignments(Source(f"on_{side}", text), its, variables, units))
        others = {WEIGHT, *(name for name, one in variables.items() if one.flag != side)}
        for name, value in events[side]:
            if name not in others:
                _check_trace(name, value, used, others)
                shared |= used(value)
    texts = [value for its in events.values() for _, value in its]
    for leaf in leaves([*texts, *(one.value for one in definitions)], {}):
        if isinstance(leaf, Apply):
            raise EquationError("plasticity rules cannot draw random numbers", leaf.at)
    for call in calls_in([*texts, *(one.value for one in definitions)], PREVIOUS):
        raise EquationError(f"plasticity rules have no {PREVIOUS}()", call.at)
    if not any(name == WEIGHT for its in events.values() for name, _ in its):
        raise DescriptionError("nothing changes w", where="on_pre, on_post", allowed="w = ...")
    per_synapse = tuple(name for name in (*parameters, *BOUNDS) if name not in shared)
    return Plasticity(variables, derived, decays, events, units, per_synapse)


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
    largest = dict.fromkeys((PRE, POST), 0.0)
    fades = {
        name: np.exp(-_INTERVAL / parameters[tau])
        for name, tau in rule.decays.items()
        if modulator or name not in modulated  # a signal stays as it is set
    }
    for side in ([MODULATOR] if modulator else []) + 3 * [PRE, POST]:
        values[WEIGHT] = start = weight * scales[WEIGHT]
        for name, node in rule.events[side]:
            values[name] = float(evaluate(node, values, derived))
        if side != MODULATOR:
            values |= {name: fade * values[name] for name, fade in fades.items()}
            largest[side] = max(largest[side], abs(values[WEIGHT] - start) / scales[WEIGHT])
    return list(largest.values())


class _Uses:
    """Tells which variables and parameters an expression depends on."""

    def __init__(self, derived: Mapping[str, Definition]) -> None:
        self._derived = derived

    def __call__(self, node: Node) -> set[str]:
        found, left = set(), names_in(node)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += names_in(self._derived[name].value) if name in self._derived else []
        return found - self._derived.keys()


def _decay(one: Definition, parameters: Mapping[str, str]) -> str:
    """Return the parameter with which a variable decays; empty where it does not."""
    match one.value:
        case Number(value=0.0):
            return ""
        case Apply("/", (Apply("neg", (Name(name=name),)), Name(name=tau))) | Apply(
            "neg", (Apply("/", (Name(name=name), Name(name=tau))),)
        ) if name == one.name.name and tau in parameters:
            return tau
    name = one.name.name
    raise EquationError(
        f"{name} may only decay, with a parameter as its time constant",
        one.value.at,
        allowed=f"-{name}/TAU or 0",
    )


def _assignments(
    source: Source,
    its: list[str],
    variables: Mapping[str, Definition],
    units: Mapping[str, Unit],
) -> Iterable[tuple[str, Node]]:
    for name, value in read_assignments(source):
        if name.name not in its:
            whose = variables[name.name].flag if name.name in variables else SYNAPSE
            if whose != SYNAPSE:
                raise EquationError(
                    f"{name.name} changes with other spikes", name.at, allowed=f"in on_{whose}"
                )
            raise unknown_at("variable", name.name, its, name.at)
        require(kind_of(value, units), units[name.name], value.at, name.name)
        yield name.name, value


def _check_trace(name: str, value: Node, used: _Uses, others: set[str]) -> None:
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
