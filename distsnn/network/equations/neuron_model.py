"""Neuron models that a user writes as equations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from distsnn.errors import DescriptionError, unknown
from distsnn.network.base import Description, FrozenMapping
from distsnn.network.checks import NOT_NEGATIVE, as_integer, as_number
from distsnn.network.equations.declarations import (
    OfEquations,
    as_events,
    as_names,
    as_parameters,
    as_texts,
    check_kinds,
    parameter_fields,
)
from distsnn.network.equations.dynamics import REFRACTORY, STIMULI, TIME, Dynamics, read
from distsnn.network.model import MOST_PARTS, Neuron, State

if TYPE_CHECKING:
    from distsnn.network.equations.analysis import Analysis

# Further names that a class or its constructor has.
_RESERVED = ("model", "name", "self")


class EquationNeuron(OfEquations, Neuron):
    """Base class of what calling a `NeuronModel` makes: neurons with its parameters' values.

    Attributes
    ----------
    model : NeuronModel
        The equations.
    """

    model: ClassVar["NeuronModel"]

    def parts(self, dt: float) -> int:
        """Return the number of parts in which a step is integrated: what the model says."""
        return self.model.substeps


@dataclass(frozen=True, eq=False)
class NeuronModel(Description):
    """A neuron model written as equations.

    It stands wherever a built-in model does. Called, it gives neurons with other values of its
    parameters: ``model(tau_m=20.0)``; values may be arrays and distributions, as with built-ins.

    Parameters
    ----------
    equations : str
        Lines ``dNAME/dt = EXPRESSION : UNIT`` for state variables and ``NAME = EXPRESSION : UNIT``
        for sub-expressions. The current of stimuli is ``I_stim`` (pA).
    threshold : str
        Condition of a spike; empty: it never spikes.
    reset : str
        Assignments at a spike, ``NAME = EXPRESSION`` or with ``+=``, ``-=``, ``*=``, ``/=``, parted
        by line ends or semicolons and done in this order.
    events : mapping of str to (str, str)
        Conditions beside the threshold, each with assignments as of `reset`. All conditions are
        tested on the same states as the threshold; then the assignments of the reset are done,
        and those of the events, in the order of their names.
    refractory : str
        Parameter that is the refractory time, ms: for this time after a spike the neuron does not
        spike, and the held variables rest; empty: no refractory time. Brian2 holds one step less.
    hold : str or sequence of str, optional
        State variables that rest during the refractory time (Brian2 marks these equations with
        ``(unless refractory)``); by default the first that the threshold names. With ``()`` no
        variable rests: the refractory time only suppresses spikes.
    receptors : mapping of str to str
        State variable that each receptor's weights are added to; with a ``-`` before its name they
        are subtracted.
    signed_receptors : pair of str, optional
        Receptors of weights >= 0 and < 0 where a projection names none.
    parameters : mapping of str to (value, unit) or (value, unit, range)
        Default (a number or a distribution), unit and allowed range, e.g. ``(10.0, "ms", "> 0")``.
    initial : mapping of str to float or str
        Initial values of state variables, in their units: numbers, or names of parameters; 0 for
        the others.
    method : {"auto", "exact", "rosenbrock", "exponential_euler", "euler", "rk2", "rk4"}
        Scheme. With "auto" equations that are linear with constant coefficients are integrated
        exactly, the others by exponential Euler where each is linear in its own variable, else by
        RK4; with "rosenbrock" the others by Rosenbrock's method of one stage. All else is for all
        equations.
    substeps : int
        Parts that a step is integrated in; the threshold is tested after each.
    name : str
        Name in errors and in the table of a run's populations.

    Raises
    ------
    DescriptionError
        If something is wrong; for a text the error shows the place.

    Notes
    -----
    A state variable whose initial value is a parameter is kept as the difference from it: float32
    then resolves a potential near rest better.
    """

    equations: str
    threshold: str = ""
    reset: str = ""
    events: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    refractory: str = ""
    hold: tuple[str, ...] | None = None
    receptors: Mapping[str, str] = field(default_factory=dict)
    signed_receptors: tuple[str, str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, float | str] = field(default_factory=dict)
    method: str = "auto"
    substeps: int = 1
    name: str = "equations"

    def __post_init__(self) -> None:
        check_kinds(
            self,
            texts=("equations", "threshold", "reset", "refractory", "method"),
            mappings=("events", "receptors", "parameters", "initial"),
        )
        self._fill(**as_texts(self, "equations", "threshold", "reset"))
        hold = None if self.hold is None else as_names(self.hold, where="hold")
        signed = (
            None
            if self.signed_receptors is None
            else as_names(self.signed_receptors, where="signed_receptors")
        )
        as_names(list(self.receptors), where="receptors")
        self._fill(
            hold=hold,
            # in one order: what is drawn and wired must not depend on how equal models are written
            receptors=FrozenMapping(dict(sorted(self.receptors.items()))),
            signed_receptors=signed,
            events=as_events(self.events),
            parameters=as_parameters(self.parameters),
            substeps=as_integer(self.substeps, where="substeps", low=1, high=MOST_PARTS),
        )
        self._fill(initial=FrozenMapping(self._checked_initial()))
        if signed is not None:
            if len(signed) != 2:
                raise DescriptionError(
                    "must be two receptors", where="signed_receptors", value=signed
                )
            for one in signed:
                if one not in self.receptors:
                    raise unknown("receptor", one, self.receptors, where="signed_receptors")
        if self.analysis.others == [] and self.substeps > 1:
            raise DescriptionError(
                "all equations are integrated exactly: parts of a step change nothing",
                where="substeps",
                value=self.substeps,
                allowed="1",
            )
        if self.substeps > 1 and (
            self.analysis.noise or self.analysis.draws or self.dynamics.uses(TIME)
        ):
            raise DescriptionError(
                "a step of a model with time or random numbers cannot be divided into parts",
                where="substeps",
                value=self.substeps,
                allowed="1",
            )
        _ = self.neuron  # whose parameters have their ranges

    def _checked_initial(self) -> dict[str, float | str]:
        found: dict[str, float | str] = {}
        units = self.dynamics.units
        for name, given in self.initial.items():
            where = f"initial, {name!r}"
            if name not in self.dynamics.states:
                raise unknown("state variable", name, self.dynamics.states, where=where)
            if not isinstance(given, str):
                found[name] = as_number(given, where=where)
                continue
            if given not in self.parameters:
                raise unknown("parameter", given, self.parameters, where=where)
            if units[given] != units[name]:
                raise DescriptionError(
                    "the parameter has another unit",
                    where=where,
                    value=self.parameters[given][1],
                    allowed=self.dynamics.states[name].unit_text,
                )
            found[name] = given
        return found

    @cached_property
    def dynamics(self) -> Dynamics:
        """The texts, read and checked."""
        return read(
            equations=self.equations,
            threshold=self.threshold,
            reset=self.reset,
            events=self.events,
            refractory=self.refractory,
            hold=self.hold,
            receptors=self.receptors,
            parameters={name: spec[1] for name, spec in self.parameters.items()},
            reserved=[*dir(EquationNeuron), *_RESERVED],
        )

    @cached_property
    def relative(self) -> dict[str, str]:
        """State variables that are kept as the difference from a parameter."""
        return {name: start for name, start in self.initial.items() if isinstance(start, str)}

    @cached_property
    def analysis(self) -> "Analysis":
        """Which equations are linear, and how they are integrated."""
        # sympy takes a quarter of a second to import: whoever has no equations need not wait
        from distsnn.network.equations.analysis import analyse

        return analyse(self.dynamics, self.relative, self.method)

    @property
    def scheme(self) -> str:
        """What is integrated how, e.g. ``"exact: g_ex, g_in; exponential_euler: V_m"``."""
        return self.analysis.scheme

    @property
    def neuron(self) -> type[EquationNeuron]:
        """The class of neurons with this model's parameters as fields."""
        return _neuron_class(self)

    def __call__(self, **values: Any) -> EquationNeuron:
        """Return neurons of this model.

        Parameters
        ----------
        **values : float, array_like (n,) or Distribution
            Parameters that differ from their defaults.

        Raises
        ------
        DescriptionError
            If there is no such parameter, or a value is not valid.
        """
        return self.neuron(**values)


@cache  # equal models share a class, so that their neurons compare equal
def _neuron_class(model: NeuronModel) -> type[EquationNeuron]:
    dynamics = model.dynamics
    states = {
        name: State(one.unit_text, one.text, model.initial.get(name, 0.0), model.relative.get(name))
        for name, one in dynamics.states.items()
    }
    if model.refractory:
        states[REFRACTORY] = State("steps", "steps left of the refractory time", integer=True)
    targets = [dynamics.states[one.state].unit_text for one in dynamics.receptors.values()]
    attributes = {
        "__module__": __name__,
        "__doc__": model.equations,
        "model": model,
        "name": model.name,
        "states": states,
        "receptors": tuple(model.receptors),
        "signed_receptors": model.signed_receptors,
        "weight_unit": ", ".join(dict.fromkeys(targets)),
        "accepts_current": dynamics.uses(STIMULI),
        "can_spike": dynamics.threshold is not None,
    }
    refractory = (model.refractory,) if model.refractory else ()
    parameters = parameter_fields(
        model.name,
        model.parameters,
        least=dict.fromkeys(refractory, NOT_NEGATIVE),
        on_grid=refractory,
    )
    return make_dataclass(
        model.name,
        parameters,
        bases=(EquationNeuron,),
        namespace=attributes,
        frozen=True,
        eq=False,
    )
