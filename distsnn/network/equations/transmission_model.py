"""Synapse models with states of sources that a user writes as equations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, ClassVar

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import Description, FrozenMapping, class_that_sets, derived
from distsnn.network.checks import POSITIVE, as_number, check_range
from distsnn.network.equations.declarations import (
    EquationModelBase,
    as_parameters,
    as_texts,
    check_kinds,
    check_time_constants,
    make_model_class,
    parameter_fields,
    parse_range,
    titled_lines,
)
from distsnn.network.equations.syntax import NameNode, NumberNode
from distsnn.network.equations.target_states import SYNAPSE
from distsnn.network.equations.transmission import Transmission, read_transmission
from distsnn.network.model import State, SynapseModel, kernel_module_of

# Where built-in models are.
_BUILT_IN = "distsnn.network.synapses."
# Further names that a class or its constructor has.
_RESERVED = ("model", "name", "self")
_TEXTS = ("traces", "on_pre", "transmit")


class EquationTransmission(SynapseModel):
    """Base class of synapse models whose states of sources are equations.

    A class decorated with `synapse_model` gives its text as `equations`, and its parameters as
    fields; calling a `TransmissionModel` makes such a class at run time.

    Attributes
    ----------
    equations : TransmissionEquations
        The text, in a class that is not made of a `TransmissionModel`.
    model : TransmissionModel
        The text with the parameters.
    """

    equations: ClassVar["TransmissionEquations"]
    scheme: ClassVar[str] = "Exact from one spike of the source to the next."
    model = derived(lambda cls: _model_of(cls))
    states = derived(lambda cls: cls.model.states())

    @classmethod
    def derive(cls) -> None:
        """Set the kernel module of a built-in model, and check the text of any other."""
        if "equations" in vars(cls):
            is_built_in = cls.__module__.startswith(_BUILT_IN)
            cls.kernel = kernel_module_of("synapses", cls.name) if is_built_in else ""
            if not is_built_in:
                check_time_constants(cls, cls.model.transmission.least_time_constants())

    @classmethod
    def equation_lines(cls) -> list[str]:
        """Return the lines of traces, of what a spike does and transmits, and initial values."""
        model = cls.model
        start = "; ".join(f"{name} = {value}" for name, value in model.initial.items())
        texts = {name: getattr(model, name) for name in _TEXTS} | {"initially": start}
        return titled_lines(texts)

    def max_factor(self) -> float:
        """Return the bound of the factors that the text gives."""
        return float(self.model.max_factor)


def _model_of(cls: type[EquationTransmission]) -> "TransmissionModel":
    """Return the text of a class with the parameters that are its fields.

    A subclass without a text has its base's, whatever it makes of the parameters.
    """
    if "equations" not in vars(cls):
        inherited: TransmissionModel = class_that_sets(cls, "equations").model
        return inherited
    texts = {f.name: getattr(cls.equations, f.name) for f in fields(TransmissionEquations)}
    return (_BuiltInModel if cls.kernel else TransmissionModel)(
        **texts,
        parameters={
            name: (getattr(cls, name), parameter.unit, str(parameter.allowed))
            for name, parameter in cls.parameters().items()
        },
        name=cls.name,
    )


class _MadeTransmission(EquationModelBase, EquationTransmission):
    """Base class of what calling a `TransmissionModel` makes, with values of parameters."""


@dataclass(frozen=True, eq=False)
class TransmissionEquations(Description):
    """Equations of a synapse model with states of sources.

    All synapses of a source share its states, which follow from its spikes and the parameters. A
    spike transmits the weight times a factor. The parameters are the fields of a class, each a
    number, an array with one value per source, or a distribution drawn per source.

    Parameters
    ----------
    traces : str
        Lines ``dNAME/dt = -NAME/TAU : UNIT (pre)`` for states of the source that decay with a
        parameter as their time constant, ``dNAME/dt = 0 : UNIT (pre)`` for states that stay, and
        ``dNAME/dt = (EXPRESSION - NAME)/TAU : UNIT (pre)`` for states that relax to an expression
        of parameters and of states that decay to 0. A state with a time constant of 0 is at this
        value at every spike. Lines ``NAME = EXPRESSION : UNIT`` are sub-expressions.
    on_pre : str
        Assignments to states at a spike of the source, in order; other names are intermediate
        values.
    transmit : str
        What a spike transmits, after ``on_pre``: ``w`` times a factor of states, parameters and
        intermediate values, from 0 to `max_factor`; any other factor stops the run.
    initial : mapping of str to float or str
        Initial values of states, in their unit, or names of parameters. By default states begin at
        the value to which they relax, or at 0.
    ranges : mapping of str to str
        Ranges within which scripts may set states, e.g. ``{"u": ">= 0 and <= 1"}``.
    max_factor : float
        Largest factor, for which sums of input have headroom.
    """

    traces: str = ""
    on_pre: str = ""
    transmit: str = ""
    initial: Mapping[str, float | str] = field(default_factory=dict)
    ranges: Mapping[str, str] = field(default_factory=dict)
    max_factor: float = 1.0

    def __post_init__(self) -> None:
        check_kinds(self, texts=_TEXTS, mappings=("initial", "ranges"))
        max_factor = as_number(self.max_factor, where="max_factor")
        check_range(max_factor, POSITIVE, where="max_factor")
        initial = {
            name: value if isinstance(value, str) else as_number(value, where=f"initial, {name!r}")
            for name, value in sorted(self.initial.items())
        }
        self._fill(
            **as_texts(self, *_TEXTS),
            initial=FrozenMapping(initial),
            ranges=FrozenMapping(dict(sorted(self.ranges.items()))),
            max_factor=max_factor,
        )


@dataclass(frozen=True, eq=False)
class TransmissionModel(TransmissionEquations):
    """A synapse model with states of sources, written as equations.

    It stands wherever a built-in synapse model does. Called, it gives synapses with other values of
    its parameters: ``model(tau_rec=300.0)``.

    Parameters
    ----------
    traces, on_pre, transmit, initial, ranges, max_factor
        The text, as of `TransmissionEquations`.
    parameters : mapping of str to (value, unit) or (value, unit, range)
        Default (a number or a distribution), unit and allowed range, e.g. ``(10.0, "ms", "> 0")``.
    name : str
        Name in errors.

    Raises
    ------
    DescriptionError
        If something is wrong; for a text the error shows the place.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str = "equations"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self, texts=(), mappings=("parameters",))
        self._fill(parameters=as_parameters(self.parameters))
        self._check()

    def _check(self) -> None:
        """Read the texts, and check initial values and ranges."""
        states = self.transmission.rule.with_flag(SYNAPSE)
        for title, names in (("initial", self.initial), ("ranges", self.ranges)):
            for name in names:
                if name not in states:
                    raise unknown_name_error("state", str(name), states, where=title)
        for name, value in self.initial.items():
            self._check_initial(name, value)
        _ = self.synapse

    def _check_initial(self, name: str, value: float | str) -> None:
        where, units = f"initial, {name!r}", self.transmission.rule.units
        if not isinstance(value, str):
            if not math.isfinite(value):
                raise DescriptionError("must be finite", where=where, value=value)
            return
        if value not in self.parameters:
            raise unknown_name_error("parameter", value, self.parameters, where=where)
        if not units[name].has_same_dimension(units[value]):
            raise DescriptionError(
                f"the parameter {value} has another unit",
                where=where,
                value=self.parameters[value][1],
                allowed=str(units[name]),
            )

    def states(self) -> dict[str, State]:
        """Return the states of a source."""
        rule = self.transmission.rule
        states = {}
        for name in rule.with_flag(SYNAPSE):
            variable = rule.variables[name]
            allowed = parse_range(self.ranges.get(name, ""), where=f"ranges, {name!r}")
            states[name] = State(
                variable.unit_text,
                variable.comment or variable.text,
                default=self._initial(name),
                low=allowed.low,
                high=allowed.high,
            )
        return states

    def _initial(self, name: str) -> float | str:
        """Return a state's initial value: a number or a parameter, 0 for other expressions."""
        if name in self.initial:
            return self.initial[name]
        rule = self.transmission.rule
        equilibrium = rule.relaxations[name].equilibrium if name in rule.relaxations else None
        match equilibrium:
            case NumberNode(value=value):
                return value / 10.0 ** rule.units[name].whole_tens
            case NameNode(name=parameter) if parameter in self.parameters:
                return parameter
        return 0.0

    @cached_property
    def transmission(self) -> Transmission:
        """The texts, read and checked."""
        return read_transmission(
            traces=self.traces,
            on_pre=self.on_pre,
            transmit=self.transmit,
            parameters={name: spec[1] for name, spec in self.parameters.items()},
            reserved=[*dir(_MadeTransmission), *_RESERVED],
        )

    @property
    def synapse(self) -> type[EquationTransmission]:
        """The class of synapses with this model's parameters as fields."""
        return _synapse_class(self)

    def __call__(self, **values: Any) -> EquationTransmission:
        """Return synapses with this model.

        Parameters
        ----------
        **values : float, array_like or Distribution
            Parameters that differ from their defaults.

        Raises
        ------
        DescriptionError
            If a parameter does not exist, or a value is not valid.
        """
        return self.synapse(**values)


class _BuiltInModel(TransmissionModel):
    """The equations of a built-in model: a test has checked them."""

    def _check(self) -> None:
        pass


@cache  # equal models share a class, so that their synapses compare equal
def _synapse_class(model: TransmissionModel) -> type[EquationTransmission]:
    return make_model_class(
        model,
        (_MadeTransmission,),
        parameter_fields(
            model.name, model.parameters, min_ranges=model.transmission.least_time_constants()
        ),
        f"Synapses of the model {model.name}, which is written as equations.",
        states=model.states(),
    )
