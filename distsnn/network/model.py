"""Models as descriptions: parameters with units and ranges, state variables, receptors."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import Description
from distsnn.network.checks import ANY, Interval, as_integer, check_shape, steps_array
from distsnn.network.distributions import Distribution
from distsnn.network.values import TAIL, Value, as_value, check_value, value_bounds
from distsnn.public_api import public_class, public_function

_KEY = "parameter"

# Simulators whose names of models are declared, with what a model is in each if it has no name.
PEERS: Mapping[str, str] = MappingProxyType(
    {"NEST": "none", "Brian2": "equations", "GeNN": "own code"}
)

# Most parts in which a step is integrated.
MOST_PARTS = 10_000
# Where more are needed, 30 % more are chosen.
_FEW_PARTS = 4.001


def kernel_module_of(folder: str, name: str) -> str:
    """Return the import name of a kernel module of the package.

    Parameters
    ----------
    folder : {"neurons", "plasticity", "synapses"}
        Kind of the model.
    name : str
        Name of the model.
    """
    return f"distsnn.kernels.{folder}.{name}"


@public_class
@dataclass(frozen=True)
class Parameter:
    """Properties of a model's parameter.

    Parameters
    ----------
    unit : str
        Unit, e.g. ``"mV"``.
    doc : str
        One line.
    allowed : Interval
        Allowed values.
    multiple_of_dt : bool
        Whether given values must be multiples of dt (draws are rounded to it).
    integer : bool
        Whether it is one integer for all neurons.
    """

    unit: str
    doc: str
    allowed: Interval
    multiple_of_dt: bool = False
    integer: bool = False


@public_class
@dataclass(frozen=True)
class State:
    """Properties of a model's state variable.

    Parameters
    ----------
    unit : str
        Unit, e.g. ``"mV"``.
    doc : str
        One line.
    default : str or float
        Initial value: a number, or the name of the parameter that gives it.
    relative_to : str, optional
        Parameter that is subtracted where the state is kept (precision of float32).
    integer : bool
        Whether it is a count (of steps, if `unit` is steps), >= 0.
    low, high : float
        Smallest and largest value to which a script may set it, where it is one of synapses.
    """

    unit: str
    doc: str
    default: str | float = 0.0
    relative_to: str | None = None
    integer: bool = False
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class SubExpression:
    """Properties of a sub-expression of a model's equations, such as a synaptic current.

    Parameters
    ----------
    unit : str
        Unit, e.g. ``"pA"``.
    doc : str
        One line.
    unreadable : str
        Why it can be neither recorded nor read; empty if it can: its value follows from state
        variables and parameters.
    """

    unit: str
    doc: str
    unreadable: str = ""


@public_function
def parameter(
    *,
    default: float,
    unit: str,
    doc: str,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    multiple_of_dt: bool = False,
    integer: bool = False,
) -> Any:
    """Declare a parameter of a model: a field with its unit, meaning and range.

    Parameters
    ----------
    default : float
        Default value.
    unit, doc : str
        Unit and meaning.
    low, high : float
        Smallest and largest allowed value.
    above : float
        Bound that values must exceed (in place of `low`).
    multiple_of_dt : bool
        Whether given values must be multiples of dt.
    integer : bool
        Whether it is one integer for all neurons.
    """
    open_low = math.isfinite(above)
    allowed = Interval(above if open_low else low, high, open_low)
    return parameter_field(default, Parameter(unit, doc, allowed, multiple_of_dt, integer))


def parameter_field(default: object, parameter: Parameter) -> Any:
    """Return the field of a parameter of which all is known."""
    return field(default=default, metadata={_KEY: parameter})


@dataclass(frozen=True, eq=False)
class Model(Description):
    """Base class of neuron and synapse models: a name, parameters and state variables.

    Attributes
    ----------
    name : str
        Name in the registry, NEST's where NEST has the model.
    parameter_scope : str
        What may have a parameter's value of its own, such as ``"neuron"``.
    states : mapping of str to State
        State variables.
    ordered_parameters : tuple of (str, str)
        Pairs of parameters of which the first must be smaller than the second.
    scheme : str
        How it is integrated, for its documentation.
    peers : mapping of str to str
        Names of this class, without its subclasses, in the simulators of `PEERS`. In a text of
        several words names are within backticks: ``"`LIF` with `ExpCurr`"``.
    """

    name: ClassVar[str]
    parameter_scope: ClassVar[str]
    scheme: ClassVar[str] = ""
    peers: ClassVar[Mapping[str, str]] = {}
    states: ClassVar[Mapping[str, State]] = {}
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = ()

    @classmethod
    def keyword_noun(cls) -> str:
        """Return what an argument of the constructor is called in an error."""
        return "parameter"

    @classmethod
    def derive(cls) -> None:
        """Set the class attributes that follow from others, once its fields are known."""

    @classmethod
    def equation_lines(cls) -> list[str]:
        """Return the lines of the model's equations, if it is made of such."""
        return []

    @classmethod
    def documented_states(cls) -> Mapping[str, tuple[State, str]]:
        """Return the states by name for the documentation, each with what has it if several do."""
        return {name: (state, "") for name, state in cls.states.items()}

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """Return the parameters by name."""
        return {f.name: f.metadata[_KEY] for f in fields(cls) if _KEY in f.metadata}

    def value(self, name: str) -> Value:
        """Return a parameter's value by name.

        Raises
        ------
        DescriptionError
            If the model has no such parameter.
        """
        if name not in self.parameters():
            raise unknown_name_error("parameter", name, self.parameters(), where=self.name)
        value: Value = getattr(self, name)
        return value

    def __post_init__(self) -> None:
        for name in self.parameters():
            value = as_value(getattr(self, name), where=f"{self.name}, field {name}")
            self._fill(**{name: value})

    def check(self, size: int, *, where: str) -> None:
        """Check shapes and ranges of all parameters; their arrays have `size` values.

        Raises
        ------
        DescriptionError
            For the first parameter that cannot be simulated.
        """
        self._check_parameters((size,), where=where)

    def _check_parameters(self, shape: tuple[int, ...] | None, *, where: str) -> None:
        for name, parameter in self.parameters().items():
            value, place = self.value(name), f"{where}, field {name}"
            self._check_array(name, shape, where=place)
            if parameter.integer and not (isinstance(value, float) and value.is_integer()):
                raise DescriptionError(
                    "must be one integer for all neurons", where=place, value=value
                )
            check_value(value, parameter.allowed, where=place)
        for smaller, larger in self.ordered_parameters:
            self.check_order(smaller, larger, where=where)

    def _check_array(self, name: str, shape: tuple[int, ...] | None, *, where: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, np.ndarray):
            return
        if shape is None:
            raise DescriptionError(
                "such synapses take no array", where=where, allowed="a number or a distribution"
            )
        check_shape(value, shape, where=where, meaning=f"one value per {self.parameter_scope}")

    def check_order(self, smaller: str, larger: str, *, where: str) -> None:
        """Check that one parameter's values are below another's.

        Raises
        ------
        DescriptionError
            If one is not.
        """
        left, right = self.value(smaller), self.value(larger)
        drawn = isinstance(left, Distribution) or isinstance(right, Distribution)
        if drawn:  # any draw of the one must be below any draw of the other
            left, right = value_bounds(left, TAIL)[1], value_bounds(right, TAIL)[0]
        bad = np.atleast_1d(np.asarray(left) >= np.asarray(right))
        if bad.any():
            first = int(np.argmax(bad))
            pair = [np.broadcast_to(np.asarray(side), bad.shape)[first] for side in (left, right)]
            raise DescriptionError(
                f"must be below {larger}" + (" in every draw" if drawn else ""),
                where=f"{where}, field {smaller}" + (f"[{first}]" if bad.size > 1 else ""),
                value=float(pair[0]),
                allowed=f"< {float(pair[1]):g}",
            )

    def check_grid(self, dt: float, *, where: str) -> None:
        """Check that given values of times lie on the grid of `dt` (ms)."""
        for name, parameter in self.parameters().items():
            value = self.value(name)
            if parameter.multiple_of_dt and not isinstance(value, Distribution):
                steps_array(np.atleast_1d(value), dt, where=f"{where}, field {name}")


@dataclass(frozen=True, eq=False)
class Neuron(Model):
    """Base class of neuron models.

    A model is a class decorated with `neuron_model`: fields made by `parameter` take a number, an
    array with one value per neuron, or a distribution drawn per neuron.

    Attributes
    ----------
    receptors : tuple of str
        Receptors that synapses and stimuli may target.
    signed_receptors : tuple of (str, str), optional
        Receptors of weights >= 0 and < 0 where no receptor is named.
    allowed_weights : mapping of str to Interval
        Which weights a receptor takes that takes not all, such as a conductance.
    weight_unit : str
        Unit of synaptic weights.
    accepts_current : bool
        Whether current stimuli may target it.
    accepts_scaled_weights : bool
        Whether synapses whose model scales their weights may target it.
    can_spike : bool
        Whether it ever spikes: projections come from such neurons only.
    kernel : str
        Import name of the kernel module; empty: ``distsnn.kernels.neurons.<name>``.
    sub_expressions : mapping of str to SubExpression
        Sub-expressions of its equations, if it is made of such.
    """

    parameter_scope: ClassVar[str] = "neuron"
    receptors: ClassVar[tuple[str, ...]] = ()
    signed_receptors: ClassVar[tuple[str, str] | None] = None
    allowed_weights: ClassVar[Mapping[str, Interval]] = {}
    weight_unit: ClassVar[str] = ""
    accepts_current: ClassVar[bool] = True
    accepts_scaled_weights: ClassVar[bool] = True
    can_spike: ClassVar[bool] = True
    kernel: ClassVar[str] = ""
    sub_expressions: ClassVar[Mapping[str, SubExpression]] = {}

    @classmethod
    def readable(cls) -> dict[str, State | SubExpression]:
        """Return what can be recorded and read: state variables, and what follows from them."""
        found = {name: sub for name, sub in cls.sub_expressions.items() if not sub.unreadable}
        return {**cls.states, **found}

    @classmethod
    def check_readable(cls, name: str, *, where: str) -> None:
        """Check that a name is one of a state variable, or of what follows from such.

        Raises
        ------
        DescriptionError
            If not; for a sub-expression the message says why.
        """
        readable = cls.readable()
        if name in readable:
            return
        if name in cls.sub_expressions:
            raise DescriptionError(
                f"the sub-expression {name!r} of {cls.name} has no value between two steps: "
                f"{cls.sub_expressions[name].unreadable}",
                where=where,
                allowed=", ".join(sorted(readable)),
            )
        raise unknown_name_error("state variable", name, readable, where=where)

    @classmethod
    def receptor_units(cls) -> dict[str, str]:
        """Return the unit of the weights of each receptor."""
        return dict.fromkeys(cls.receptors, cls.weight_unit)

    @classmethod
    def target_receptors(cls, receptor: str | None, low: float, high: float) -> tuple[str, ...]:
        """Return the receptors that weights within [low, high] reach.

        Parameters
        ----------
        receptor : str, optional
            The receptor named by the user, if any.
        low, high : float
            Smallest and largest weight.
        """
        if receptor is not None:
            return (receptor,)
        if cls.signed_receptors is None:
            return cls.receptors
        not_negative, negative = cls.signed_receptors
        # A weight of 0 adds nothing anywhere: it does not make (-inf, 0] reach both.
        return ((not_negative,) if high > 0 or low >= 0 else ()) + ((negative,) if low < 0 else ())

    @classmethod
    def check_receptor(cls, receptor: str | None, *, where: str) -> None:
        """Check that a receptor exists, or may be left out."""
        place = f"{where}, field receptor"
        if not cls.receptors:
            raise DescriptionError(f"{cls.name} takes no input", where=where)
        if receptor is None:
            if cls.signed_receptors is None and len(cls.receptors) > 1:
                raise DescriptionError(
                    "receptor is missing", where=place, allowed=", ".join(cls.receptors)
                )
        elif receptor not in cls.receptors:
            raise unknown_name_error("receptor", str(receptor), cls.receptors, where=place)

    @classmethod
    def check_weight(cls, receptor: str | None, weight: Value, *, where: str) -> None:
        """Check that weights are finite and within what their receptor takes.

        Where no receptor is named the sign of each weight picks one that takes it.
        """
        by_sign = receptor is None and cls.signed_receptors is not None
        name = cls.receptors[0] if receptor is None else receptor
        check_value(weight, ANY if by_sign else cls.allowed_weights.get(name, ANY), where=where)

    def parts(self, dt: float) -> int:
        """Return the number of parts in which a step of dt (ms) is integrated."""
        return 1

    def concern(self, dt: float) -> str:
        """Return why a step of dt (ms) makes rates of spikes inaccurate; empty if it does not."""
        return ""


@dataclass(frozen=True, eq=False)
class SubsteppedNeuron(Neuron, ABC):
    """Base class of neuron models that integrate a step in one part or several.

    Parameters
    ----------
    substeps : int, optional
        Number of parts. By default as many as keep each part at most `longest_part()` long, and
        30 % more where these are more than 4.
    """

    substeps: int | None = field(default=None, kw_only=True)

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.substeps is not None:
            where = f"{self.name}, field substeps"
            self._fill(substeps=as_integer(self.substeps, where=where, low=1, high=MOST_PARTS))

    @abstractmethod
    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""

    def parts(self, dt: float) -> int:
        """Return the number of parts in which a step of dt (ms) is integrated."""
        if self.substeps is not None:
            return self.substeps
        needed = dt / self.longest_part()
        # input is bunched at the ends of long steps, where states then change faster
        needed *= 1.3 if needed > _FEW_PARTS else 1.0
        # a part of exactly the longest may be a little longer by rounding
        return max(1, math.ceil(min(needed - 1e-6, MOST_PARTS)))

    def concern(self, dt: float) -> str:
        """Return why a step of dt (ms) makes rates of spikes inaccurate; empty if it does not."""
        longest, part = self.longest_step(), self.longest_part()
        if dt > longest * (1.0 + 1e-9):
            return (
                f"{self.name} finds spikes at the ends of steps only: with dt={dt:g} ms rates may "
                f"be off by more than 3 %, at any number of substeps; use dt <= {longest:g} ms"
            )
        if self.substeps is None and dt > part * MOST_PARTS:
            return (
                f"{self.name} needs parts of at most {part:.3g} ms for errors of rates below "
                f"0.5 %: {MOST_PARTS:,} substeps of dt={dt:g} ms, the most there are, do not do"
            )
        return ""


@dataclass(frozen=True, eq=False)
class SynapseModel(Model):
    """Base class of models of synapses that scale their weights with their source's spikes.

    A model is a class decorated with `synapse_model`. Its states follow from the source's spikes
    and the parameters alone. So they are kept for each source of the projection, and all synapses
    of a source share them; a parameter is a number, an array with one value per source, or a
    distribution drawn per source. Plastic synapses are of a class of their own, `PlasticSynapse`.

    Attributes
    ----------
    kernel : str
        Import name of the kernel module (see `distsnn.kernels.synapses`), whose states and
        parameters have the names of the class's.
    """

    parameter_scope: ClassVar[str] = "source neuron, which all of its synapses share"
    kernel: ClassVar[str] = ""

    def max_factor(self) -> float:
        """Return a bound of the factors that scale the weights; all of them are at least 0."""
        return 1.0
