"""Neuron models that a user writes as equations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import Description, FrozenMapping, class_that_sets, derived
from distsnn.network.checks import NOT_NEGATIVE, POSITIVE, Interval, as_integer, as_number
from distsnn.network.equations.declarations import (
    EquationModelBase,
    as_events,
    as_names,
    as_parameters,
    as_text,
    as_texts,
    check_kinds,
    make_model_class,
    parameter_fields,
)
from distsnn.network.equations.dynamics import REFRACTORY, STIMULI, TIME, Dynamics, parse_dynamics
from distsnn.network.equations.stored_kernels import has_text, shipped_kernel
from distsnn.network.model import (
    MOST_PARTS,
    Neuron,
    State,
    SubExpression,
    SubsteppedNeuron,
    kernel_module_of,
)

if TYPE_CHECKING:
    from distsnn.network.equations.analysis import Analysis

# Where built-in models are.
_BUILT_IN = "distsnn.network.neurons."
# Further names that a class or its constructor has.
_RESERVED = ("model", "name", "self")
# Schemes of `NeuronEquations.method` in words.
_SCHEMES = {
    "exact": "exactly",
    "rosenbrock": "by Rosenbrock's method of one stage",
    "strang": "by Strang splitting, each part exactly",
    "exponential_euler": "by exponential Euler",
    "euler": "by forward Euler",
    "rk2": "by the midpoint rule",
    "rk4": "by the classical Runge-Kutta method",
}


class EquationNeuron(Neuron):
    """Base class of neurons whose dynamics are equations.

    A class decorated with `neuron_model` gives its text as `equations`, and its parameters as
    fields; calling a `NeuronModel` makes such a class at run time.

    Attributes
    ----------
    equations : NeuronEquations
        The text, in a class that is not made of a `NeuronModel`.
    model : NeuronModel
        The text with the parameters.
    """

    equations: ClassVar["NeuronEquations"]
    model = derived(lambda cls: _model_of(cls))
    states = derived(lambda cls: _states_of(cls.model))
    sub_expressions = derived(lambda cls: _sub_expressions_of(cls.model.dynamics))
    receptors = derived(lambda cls: tuple(cls.model.receptors))
    weight_unit = derived(lambda cls: _weight_unit_of(cls.model.dynamics))
    accepts_current = derived(lambda cls: cls.model.dynamics.uses(STIMULI))
    can_spike = derived(lambda cls: cls.model.dynamics.threshold is not None)
    scheme = derived(lambda cls: _scheme_of(cls.model))

    @classmethod
    def receptor_units(cls) -> dict[str, str]:  # noqa: D102 (inherited)
        inputs = cls.model.dynamics.receptors
        return {name: receptor.unit_text for name, receptor in inputs.items()}

    @classmethod
    def derive(cls) -> None:
        """Set the kernel module of a built-in model, and check the text of any other."""
        if "equations" in vars(cls):
            is_built_in = cls.__module__.startswith(_BUILT_IN)
            cls.kernel = kernel_module_of("neurons", cls.name) if is_built_in else ""
            if not is_built_in:
                cls._check_class()

    @classmethod
    def equation_lines(cls) -> list[str]:
        """Return the lines of equations, threshold, reset, events, receptors and the like."""
        model = cls.model
        lines = [line.strip() for line in model.equations.strip().splitlines()]
        ends = {"threshold": model.threshold, "spike count": model.spike_count}
        ends |= {"reset": model.reset}
        ends |= {f"event {name}": ": ".join(texts) for name, texts in model.events.items()}
        held = (
            f"{name} until the end of {period}" if len(model.periods) > 1 else name
            for name, period in model.dynamics.held.items()
        )
        ends |= {"refractory time": " + ".join(model.periods), "held": ", ".join(held)}
        ends |= {f"after {period}": text for period, text in model.after.items()}
        ends |= {f"receptor {name}": text for name, text in model.receptors.items()}
        start = "; ".join(f"{name} = {value}" for name, value in model.initial.items())
        ends |= {"early": ", ".join(model.early), "late": ", ".join(model.late)}
        ends |= {"initially": start, "method": model.method}
        return [*lines, "", *(f"{name}: {text}" for name, text in ends.items() if text)]

    @classmethod
    def _check_class(cls) -> None:
        """Check the attributes of a class besides its text."""
        if issubclass(cls, SubsteppedNeuron) and not has_text(cls.model, any_parts=True):
            cls.model.check_divisible()
        for period, min_range in cls.model.least_periods.items():
            parameter = cls.parameters()[period]
            if not parameter.multiple_of_dt or parameter.allowed.starts_below(min_range):
                above = min_range.open_low
                raise DescriptionError(
                    "a refractory time must be a multiple of dt, and "
                    + (f"above 0 if statements follow it ({period})" if above else "not negative"),
                    where=f"neuron model {cls.__qualname__}, field {period}",
                    hint=f"declare it as parameter(..., {'above' if above else 'low'}=0.0, "
                    "multiple_of_dt=True)",
                )


def _model_of(cls: type[EquationNeuron]) -> "NeuronModel":
    """Return the text of a class with the parameters that are its fields.

    A subclass without a text has its base's, whatever it makes of the parameters.
    """
    if "equations" not in vars(cls):
        inherited: NeuronModel = class_that_sets(cls, "equations").model
        return inherited
    texts = {
        base_class.name: getattr(cls.equations, base_class.name)
        for base_class in fields(NeuronEquations)
    }
    return (_BuiltInModel if cls.kernel else NeuronModel)(
        **texts,
        parameters={
            name: (getattr(cls, name), parameter.unit, str(parameter.allowed))
            for name, parameter in cls.parameters().items()
        },
        signed_receptors=cls.signed_receptors,
        name=cls.name,
    )


def _states_of(model: "NeuronModel") -> dict[str, State]:
    states = {
        name: State(
            definition.unit_text,
            definition.comment or definition.text,
            model.initial.get(name, 0.0),
            model.relative.get(name),
        )
        for name, definition in model.dynamics.states.items()
    }
    if model.refractory:
        doc = "steps left of the refractory time"
        states[REFRACTORY] = State("steps", doc, integer=True)
    return states


def _scheme_of(model: "NeuronModel") -> str:
    if not model.dynamics.states:
        return "Nothing to integrate: there are no state variables."
    names = _SCHEMES | ({"euler": "by Euler-Maruyama"} if model.analysis.noise else {})
    methods = (part.split(": ") for part in model.scheme.split("; "))
    schemes = [f"{states} {names[method]}" for method, states in methods]
    parts = f", in {model.substeps} parts of a step" if model.substeps > 1 else ""
    return f"Integrated: {'; '.join(schemes)}{parts}."


def _sub_expressions_of(dynamics: Dynamics) -> dict[str, SubExpression]:
    return {
        name: SubExpression(
            definition.unit_text,
            definition.comment or definition.text,
            dynamics.unreadable.get(name, ""),
        )
        for name, definition in dynamics.derived.items()
    }


def _weight_unit_of(dynamics: Dynamics) -> str:
    units = dict.fromkeys(receptor.unit_text for receptor in dynamics.receptors.values())
    return ", ".join(units)


class _MadeNeuron(EquationModelBase, EquationNeuron):
    """Base class of what calling a `NeuronModel` makes: neurons with its parameters' values."""

    def parts(self, dt: float) -> int:
        """Return the model's number of substeps."""
        parts: int = self.model.substeps
        return parts


@dataclass(frozen=True, eq=False)
class NeuronEquations(Description):
    """Equations of a neuron model, whose parameters are the fields of a class.

    Parameters
    ----------
    equations : str
        Lines ``dNAME/dt = EXPRESSION : UNIT`` for state variables and ``NAME = EXPRESSION : UNIT``
        for sub-expressions; a comment after ``#`` describes the variable. The current of
        stimuli is ``I_stim`` (pA). ``previous(NAME)`` is a state variable at the start of the step,
        ``input(RECEPTOR)`` the sum of the weights that arrive at a receptor in the step.
    threshold : str
        Condition of a spike; empty: it never spikes.
    reset : str
        Assignments at a spike, ``NAME = EXPRESSION`` or with ``+=``, ``-=``, ``*=``, ``/=``, parted
        by line ends or semicolons and done in this order. Other names than those of states
        are local variables of the text.
    events : mapping of str to (str, str)
        Conditions beside the threshold, each with assignments as of `reset`; an empty condition
        always holds. All conditions are tested on the same states as the threshold; then the
        assignments of the reset run, and then the assignments of events, in the order of their
        names.
    refractory : str or sequence of str
        Parameter that is the refractory time, ms: for this time after a spike the neuron does not
        spike, and the held variables rest; empty: no refractory time. Brian2 holds one step less.
        Several parameters are periods that follow each other.
    hold : str, sequence of str or mapping of str to str, optional
        State variables that rest during the refractory time (Brian2 marks these equations with
        ``(unless refractory)``); by default the first that the threshold names. With ``()`` no
        variable rests: the refractory time only suppresses spikes. A mapping gives the period until
        whose end a variable rests: ``{"V_m": "t_ref", "w": "t_clamp"}``.
    after : mapping of str to str
        Assignments at the end of a period of the refractory time, as of `reset`.
    receptors : mapping of str to str
        What each receptor's weights do: the state variable to which they are added (subtracted,
        after ``-``), or statements such as ``"dI += weight*exp(1)/tau_syn"``: ``+=`` or ``-=`` with
        an expression that is proportional to ``weight``, and otherwise constant.
    initial : mapping of str to float or str
        Initial values of state variables, in their units: numbers, or names of parameters; 0 for
        the others.
    method : {"auto", "exact", "rosenbrock", "strang", "exponential_euler", "euler", "rk2", "rk4"}
        Scheme. With "auto" equations that are linear with constant coefficients are integrated
        exactly, the others by exponential Euler where each is linear in its own variable, else by
        RK4; with "rosenbrock" the others by Rosenbrock's method of one stage, with "strang" by
        Strang's splitting of the first from the rest. The other schemes integrate all equations.
    test_parts : bool
        Whether threshold and events are tested after each part of a step, where there are several;
        else at the end of the step. Input is tested with it in either case.
    relaxing : str or sequence of str
        State variables that always relax: the factor of each in its own equation is below 0 for
        all values that occur. Exponential Euler and Strang's splitting are then faster for them;
        a factor of 0 would stop the run, with a state that is not a number.
    early : str or sequence of str
        State variables that advance first in a step, with its input: the other equations start from
        their new values, so that input acts in the step in which it arrives.
    spike_count : str
        Number of spikes of a neuron in a step in which the threshold holds, an expression of the
        same states as the threshold; empty: one spike. The reset runs once. A number that is not an
        integer from 0 to 127 stops the run.
    late : str or sequence of str
        State variables that advance last in a step, before the reset: the other equations, the
        threshold and the conditions of events have their values at the begin of the step.

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
    refractory: str | tuple[str, ...] = ""
    hold: tuple[str, ...] | Mapping[str, str] | None = None
    after: Mapping[str, str] = field(default_factory=dict)
    receptors: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, float | str] = field(default_factory=dict)
    method: str = "auto"
    test_parts: bool = True
    relaxing: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    spike_count: str = ""

    def __post_init__(self) -> None:
        check_kinds(
            self,
            texts=("equations", "threshold", "reset", "method", "spike_count"),
            mappings=("events", "after", "receptors", "initial"),
        )
        if not isinstance(self.test_parts, bool):
            raise DescriptionError(
                "must be a truth value",
                where="test_parts",
                value=self.test_parts,
                allowed="True, False",
            )
        if self.method == "rosenbrock" and not self.test_parts:
            raise DescriptionError(
                "method 'rosenbrock' needs a test after each part, where it resets what explodes",
                where="test_parts",
                value=self.test_parts,
                allowed="True",
            )
        self._fill(**as_texts(self, "equations", "threshold", "reset", "spike_count"))
        for name in ("after", "receptors"):
            as_names(list(getattr(self, name)), where=name)
        self._fill(
            refractory=_as_periods(self.refractory),
            hold=_as_held(self.hold),
            after=FrozenMapping({name: as_text(text) for name, text in self.after.items()}),
            # sorted: draws and wiring must not depend on the order in which equal models are
            # written
            receptors=FrozenMapping(dict(sorted(self.receptors.items()))),
            events=as_events(self.events),
            initial=FrozenMapping(dict(self.initial)),
            relaxing=as_names(self.relaxing, where="relaxing"),
            early=as_names(self.early, where="early"),
            late=as_names(self.late, where="late"),
        )

    @property
    def periods(self) -> tuple[str, ...]:
        """Parameters of which the sum is the refractory time, in the order of time."""
        return as_names(self.refractory or (), where="refractory")


def _as_periods(value: Any) -> str | tuple[str, ...]:
    names = as_names(value, where="refractory")
    return names if len(names) > 1 else "".join(names)


def _as_held(value: Any) -> tuple[str, ...] | FrozenMapping[str] | None:
    if isinstance(value, Mapping):
        as_names([*value, *value.values()], where="hold")
        return FrozenMapping(value)
    return None if value is None else as_names(value, where="hold")


@dataclass(frozen=True, eq=False)
class NeuronModel(NeuronEquations):
    """A neuron model written as equations.

    It stands wherever a built-in model does. Called, it gives neurons with other values of its
    parameters: ``model(tau_m=20.0)``; values may be arrays and distributions, as with built-ins.

    Parameters
    ----------
    equations, threshold, reset, events, refractory, hold, after, receptors, initial, method,
    test_parts, relaxing, early, late, spike_count
        The text, as of `NeuronEquations`.
    parameters : mapping of str to (value, unit) or (value, unit, range)
        Default (a number or a distribution), unit and allowed range, e.g. ``(10.0, "ms", "> 0")``.
    signed_receptors : pair of str, optional
        Receptors of weights >= 0 and < 0 where a projection names none.
    substeps : int
        Parts that a step is integrated in.
    name : str
        Name in errors and in the table of a run's populations.

    Raises
    ------
    DescriptionError
        If something is wrong; for a text the error shows the place.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    signed_receptors: tuple[str, str] | None = None
    substeps: int = 1
    name: str = "equations"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self, texts=(), mappings=("parameters",))
        signed = (
            None
            if self.signed_receptors is None
            else as_names(self.signed_receptors, where="signed_receptors")
        )
        self._fill(
            signed_receptors=signed,
            parameters=as_parameters(self.parameters),
            substeps=as_integer(self.substeps, where="substeps", low=1, high=MOST_PARTS),
        )
        self._fill(initial=FrozenMapping(self._checked_initial()))
        if signed is not None:
            if len(signed) != 2:
                raise DescriptionError(
                    "must be two receptors", where="signed_receptors", value=signed
                )
            for receptor in signed:
                if receptor not in self.receptors:
                    raise unknown_name_error(
                        "receptor", receptor, self.receptors, where="signed_receptors"
                    )
        self._check()

    def _check(self) -> None:
        """Check that the equations can be integrated, and the parameters have ranges."""
        if not self.neuron.kernel and not has_text(self):
            _ = self.analysis
            if self.substeps > 1:
                self.check_divisible()

    def check_divisible(self) -> None:
        """Check that a step in several parts differs from a step in one, and can be made.

        Raises
        ------
        DescriptionError
            If not.
        """
        problem = ""
        if self.analysis.not_exact == []:
            problem = "all equations are integrated exactly: parts of a step change nothing"
        elif self.analysis.noise or self.dynamics.uses(TIME):
            problem = "a step of a model with time or white noise cannot be divided into parts"
        elif self.analysis.draws and self.test_parts:
            problem = (
                "a step of a model with random numbers cannot be divided into parts, unless they "
                "are drawn at its end (test_parts=False)"
            )
        elif self.early:
            problem = "a step in which input comes first (early) cannot be divided into parts"
        elif self.dynamics.previous:
            problem = "a step of a model with previous() cannot be divided into parts"
        elif self.spike_count:
            problem = "a step of a model with spike_count cannot be divided into parts"
        elif self.dynamics.during:
            problem = "a step of a model with input() cannot be divided into parts"
        if problem:
            raise DescriptionError(problem, where="substeps", value=self.substeps, allowed="1")

    def _checked_initial(self) -> dict[str, float | str]:
        checked: dict[str, float | str] = {}
        units = self.dynamics.units
        for name, value in self.initial.items():
            where = f"initial, {name!r}"
            if name not in self.dynamics.states:
                raise unknown_name_error("state variable", name, self.dynamics.states, where=where)
            if not isinstance(value, str):
                checked[name] = as_number(value, where=where)
                continue
            if value not in self.parameters:
                raise unknown_name_error("parameter", value, self.parameters, where=where)
            if units[value] != units[name]:
                raise DescriptionError(
                    "the parameter has another unit",
                    where=where,
                    value=self.parameters[value][1],
                    allowed=self.dynamics.states[name].unit_text,
                )
            checked[name] = value
        return checked

    @cached_property
    def dynamics(self) -> Dynamics:
        """The texts, read and checked."""
        return parse_dynamics(
            equations=self.equations,
            threshold=self.threshold,
            spike_count=self.spike_count,
            reset=self.reset,
            events=self.events,
            periods=self.periods,
            hold=self.hold,
            after=self.after,
            receptors=self.receptors,
            parameters={name: spec[1] for name, spec in self.parameters.items()},
            reserved=[*dir(EquationNeuron), *_RESERVED],
        )

    @property
    def least_periods(self) -> dict[str, Interval]:
        """Lower bounds of the periods of the refractory time."""
        return {
            period: POSITIVE if period in self.after else NOT_NEGATIVE for period in self.periods
        }

    @cached_property
    def relative(self) -> dict[str, str]:
        """State variables that are kept as the difference from a parameter."""
        return {name: start for name, start in self.initial.items() if isinstance(start, str)}

    @cached_property
    def analysis(self) -> "Analysis":
        """The linear equations, and how all equations are integrated."""
        # the import of sympy takes a quarter of a second, which runs without equations avoid
        from distsnn.network.equations.analysis import analyse

        specs = self.parameters.items()
        return analyse(
            self.dynamics,
            self.relative,
            self.method,
            {name: spec[0] for name, spec in specs if isinstance(spec[0], float)},
            self.relaxing,
            early=self.early,
            late=self.late,
        )

    @property
    def scheme(self) -> str:
        """Integration methods, such as ``"exact: g_ex, g_in; exponential_euler: V_m"``."""
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
            If a parameter does not exist, or a value is not valid.
        """
        return self.neuron(**values)


class _BuiltInModel(NeuronModel):
    """The equations of a built-in model: a test has checked them, with sympy."""

    def _check(self) -> None:
        pass


@cache  # equal models share a class, so that their neurons compare equal
def _neuron_class(model: NeuronModel) -> type[EquationNeuron]:
    return make_model_class(
        model,
        (_MadeNeuron,),
        parameter_fields(
            model.name,
            model.parameters,
            min_ranges=model.least_periods,
            multiples_of_dt=model.periods,
        ),
        f"Neurons of the model {model.name}, which is written as equations.",
        signed_receptors=model.signed_receptors,
        kernel=shipped_kernel(model),
    )
