"""Populations of neurons, and views of neurons of one population."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import ADDED, Description, FrozenMapping
from distsnn.network.checks import (
    IntArray,
    Interval,
    as_indices,
    as_integer,
    check_shape,
)
from distsnn.network.distributions import Distribution
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.model import Neuron, State
from distsnn.network.registry import check_registered
from distsnn.network.values import Value, ValueLike, as_value, check_value
from distsnn.public_api import public_function

Precision: TypeAlias = Literal["float32", "float64"]

MAX_NEURONS = 2**31
# Stop of a view that was given by a population's name only; the network fills it in.
TO_END = -1
# Most parts of a step that are integrated in float32.
MOST_FLOAT32_PARTS = 4
# Counts are kept in 32 bits.
COUNT = Interval(0.0, 2.0**31 - 1.0)
# A file system takes 255 bytes; a recording's name may have a view's bounds appended.
_LONGEST_NAME = 170
# Neurons of a view that a message lists, and their characters: the name of a projection may have
# two such lists.
_MOST_LISTED, _LONGEST_LIST = 8, 30


def check_name(name: object, *, where: str) -> str:
    """Return a name that may stand in a path of the run's store."""
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or name != name.strip()
        or name[:1] in ("", ".")
        or set(name) & set("/\\")
        or len(name.encode()) > _LONGEST_NAME
        or name == "zarr.json"
    ):
        raise DescriptionError(
            "not a usable name",
            where=where,
            value=name,
            allowed=f"up to {_LONGEST_NAME} printable bytes without / and \\, not starting with a "
            "dot or a space, not zarr.json",
        )
    return name


@dataclass(frozen=True, eq=False, init=False)
class PopulationView(Description):
    """Neurons of a population: consecutive ones, or any in ascending order.

    Rules, arrays of values and tables of edges count these neurons from 0.

    Parameters
    ----------
    population : str
        The population's name.
    start, stop : int
        First neuron and the one after the last; in a network `stop` is always filled in.
    neurons : array_like of int, optional
        The neurons, ascending, in place of `start` and `stop`; None if they are consecutive.
    """

    population: str
    start: int
    stop: int
    neurons: IntArray | None = field(default=None, metadata={ADDED: True})

    def __init__(
        self,
        population: str,
        start: int = 0,
        stop: int = TO_END,
        neurons: npt.ArrayLike | None = None,
    ) -> None:
        where = f"view of population {population!r}"
        if not isinstance(population, str):
            raise DescriptionError("must be a population's name", where=where, value=population)
        listed = None if neurons is None else _as_neurons(neurons, where=f"{where}, field neurons")
        if listed is not None:
            start, stop = int(listed[0]), int(listed[-1]) + 1
        start = as_integer(start, where=f"{where}, field start", high=MAX_NEURONS)
        stop = as_integer(stop, where=f"{where}, field stop", low=TO_END, high=MAX_NEURONS)
        if stop != TO_END and stop <= start:
            raise DescriptionError("holds no neuron", where=where, value=f"{start}:{stop}")
        if listed is not None and listed.size == stop - start:
            listed = None
        self._fill(population=population, start=start, stop=stop, neurons=listed)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start if self.neurons is None else self.neurons.size

    # views of single neurons do not make a view a sequence
    __iter__: ClassVar[None] = None

    def __getitem__(self, item: SupportsIndex | slice | npt.ArrayLike) -> "PopulationView":
        """Return the view of some of these neurons, which are numbered from 0."""
        where = f"view of population {self.population!r}"
        if self.stop == TO_END:
            raise DescriptionError(
                "the number of neurons is unknown before the view is part of a network",
                where=where,
                value=item,
                hint="index the Population",
            )
        members = range(self.start, self.stop) if self.neurons is None else self.neurons
        return _view_of(self.population, members, item, where=where)

    @property
    def index(self) -> slice | IntArray:
        """Index of the neurons in an array of the population's neurons."""
        return slice(self.start, self.stop) if self.neurons is None else self.neurons

    @property
    def text(self) -> str:
        """The neurons as an index is written, such as ``0:50``, ``0:99:2`` or ``1, 5, 7``."""
        if self.neurons is None:
            return f"{self.start}:{self.stop}"
        steps = np.diff(self.neurons)
        if self.size > 2 and (steps == steps[0]).all():
            return f"{self.start}:{self.stop}:{steps[0]}"
        listed = self.neurons[:_MOST_LISTED].tolist()
        while len(first := ", ".join(map(str, listed))) > _LONGEST_LIST:
            listed.pop()
        if len(listed) == self.size:
            return first
        return f"{first}, ... {self.size:,} neurons, #{zlib.crc32(self.neurons.tobytes()):08x}"

    @property
    def path_name(self) -> str:
        """The population and the neurons, in characters of a path."""
        if self.neurons is None:
            return f"{self.population}_{self.start}_{self.stop}"
        checksum = zlib.crc32(self.neurons.tobytes())
        return f"{self.population}_{self.start}_{self.stop}_{checksum:08x}"

    def positions(self, neurons: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the index in this view of each of some neurons of the population; -1: not in it.

        Parameters
        ----------
        neurons : ndarray of int
            Indices in the population; negative ones are in no view.
        """
        if self.neurons is None:
            inside = (neurons >= self.start) & (neurons < self.stop)
            return np.where(inside, neurons - self.start, -1)
        positions = np.searchsorted(self.neurons, neurons)
        positions[positions == self.neurons.size] = 0
        return np.where(self.neurons[positions] == neurons, positions, -1)

    def neurons_at(self, positions: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the neuron, an index in the population, at each of some indices in this view."""
        if self.neurons is None:
            return np.asarray(positions, np.int64) + self.start
        return np.asarray(self.neurons[positions], np.int64)

    def count_below(self, neurons: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return how many neurons of this view are below each of some indices in the population."""
        if self.neurons is None:
            return np.asarray(np.clip(neurons, self.start, self.stop) - self.start, np.int64)
        return np.asarray(np.searchsorted(self.neurons, neurons), np.int64)

    def shared(self, other: "PopulationView") -> "PopulationView | None":
        """Return the view of the neurons that two views share, None if they share none."""
        if self.population != other.population:
            return None
        if self.neurons is None and other.neurons is None:
            start, stop = max(self.start, other.start), min(self.stop, other.stop)
            return PopulationView(self.population, start, stop) if start < stop else None
        first, second = (self, other) if other.neurons is None else (other, self)
        members = first.neurons_at(np.arange(first.size))
        members = members[second.positions(members) >= 0]
        return PopulationView(self.population, neurons=members) if members.size else None

    def n_shared(self, other: "PopulationView") -> int:
        """Return how many neurons two views share."""
        shared = self.shared(other)
        return 0 if shared is None else shared.size


def _as_neurons(neurons: npt.ArrayLike, *, where: str) -> IntArray:
    """Return ascending indices of at least one neuron."""
    array = as_indices(neurons, where=where)
    if not array.size:
        raise DescriptionError("holds no neuron", where=where, value=neurons)
    if array.size > 1 and (np.diff(array) <= 0).any():
        raise DescriptionError(
            "neurons must be in ascending order, each once", where=where, value=neurons
        )
    return array


@dataclass(frozen=True, eq=False, init=False)
class Population(Description):
    """Neurons of one model.

    Parameters
    ----------
    name : str
        Its name, unique in the network.
    size : int
        Number of neurons, >= 1.
    model : Neuron or NeuronModel
        The model with its parameters.
    initial : mapping of str to float, array_like (size,) or Distribution, optional
        Initial values of state variables; the model's defaults for the others.
    precision : {"float32", "float64"}
        Type of the neurons' state. What integrates a step in more than 4 parts is kept in float64
        (see `state_type`).

    Raises
    ------
    DescriptionError
        If a name is unknown or a value cannot be simulated.

    Examples
    --------
    ``E[0:50]`` is the view of the first 50 neurons, ``E[-1]`` a view of the last neuron.
    ``E[::2]``, ``E[[1, 5]]`` and ``E[mask]`` are views of neurons that are not consecutive.
    """

    name: str
    size: int
    model: Neuron
    initial: Mapping[str, Value]
    precision: Precision

    @public_function
    def __init__(
        self,
        name: str,
        size: int,
        model: Neuron | NeuronModel,
        initial: Mapping[str, ValueLike] | None = None,
        precision: Precision = "float32",
    ) -> None:
        where = f"population {name!r}"
        check_name(name, where=f"{where}, field name")
        size = as_integer(size, where=f"{where}, field size", low=1, high=MAX_NEURONS)
        if isinstance(model, NeuronModel):
            model = model()
        if not isinstance(model, Neuron):
            raise DescriptionError(
                "must be a neuron model with its parameters",
                where=f"{where}, field model",
                value=model,
                allowed="an instance, such as IafPscExp()",
            )
        check_registered(model, where=f"{where}, field model")
        model.check(size, where=where)
        if precision not in get_args(Precision):
            raise unknown_name_error(
                "precision", str(precision), get_args(Precision), where=f"{where}, field precision"
            )
        self._fill(
            name=name,
            size=size,
            model=model,
            initial=_checked_initial(initial or {}, model, size, precision, where=where),
            precision=precision,
        )

    def state_type(self, dt: float) -> Precision:
        """Return the type in which states are kept at a step of dt (ms).

        In float32 a part of a step may change a state by less than it resolves: with more than
        a few parts the sum of rounding errors exceeds the error of a whole step.
        """
        return "float64" if self.model.parts(dt) > MOST_FLOAT32_PARTS else self.precision

    # views of single neurons do not make a population a sequence
    __iter__: ClassVar[None] = None

    def __getitem__(self, item: SupportsIndex | slice | npt.ArrayLike) -> PopulationView:
        return _view_of(self.name, range(self.size), item, where=f"population {self.name!r}")


def _view_of(
    population: str,
    members: range | IntArray,
    item: SupportsIndex | slice | npt.ArrayLike,
    *,
    where: str,
) -> PopulationView:
    """Return the view of those members, neurons of a population, that an index chooses."""
    if not isinstance(item, slice):
        chosen = _checked_index(item, len(members), where=where)
        # of all neurons of a large population no array is made
        neurons = chosen + members.start if isinstance(members, range) else members[chosen]
        return PopulationView(population, neurons=neurons)
    for end in (item.start, item.stop):
        if end is not None:
            as_integer(end, where=f"{where}, slice", low=-len(members), high=len(members))
    if item.step is not None:
        as_integer(item.step, where=f"{where}, step", low=1)
    part = members[item]
    if isinstance(part, range) and part.step == 1:
        return PopulationView(population, part.start, part.stop)
    return PopulationView(population, neurons=np.asarray(part))


def _checked_index(item: SupportsIndex | npt.ArrayLike, size: int, *, where: str) -> IntArray:
    """Return indices of `size` neurons, each 0 to size - 1."""
    problem = DescriptionError(
        "not an index of neurons",
        where=where,
        value=item,
        allowed="E[5], E[start:stop:step], E[[1, 5]] or a mask of one bool per neuron",
    )
    try:
        neurons = np.asarray(item)
    except ValueError:  # lists of different lengths
        raise problem from None
    is_number = isinstance(item, SupportsIndex) and not isinstance(item, np.ndarray)
    if is_number and neurons.dtype.kind in "iu":
        neurons = neurons[None]
    elif neurons.dtype == np.bool_ and neurons.ndim:
        check_shape(neurons, (size,), where=f"{where}, mask", meaning="one value per neuron")
        neurons = np.flatnonzero(neurons)
    if isinstance(item, list) and not item:
        raise DescriptionError("holds no neuron", where=where, value=item)
    if neurons.dtype.kind not in "iu" or neurons.ndim != 1:
        raise problem
    outside = (neurons < -size) | (neurons >= size)
    if outside.any():
        raise DescriptionError(
            "no such neuron",
            where=f"{where}, index",
            value=int(neurons[outside][0]),
            allowed=f"{-size} to {size - 1}",
        )
    neurons = neurons.astype(np.int64)  # sums of smaller types overflow
    return np.where(neurons < 0, neurons + size, neurons)


def _checked_initial(
    initial: Mapping[str, ValueLike],
    model: Neuron,
    size: int,
    precision: Precision,
    *,
    where: str,
) -> FrozenMapping[Value]:
    if not isinstance(initial, Mapping):
        raise DescriptionError(
            "must map state variables to values", where=f"{where}, field initial", value=initial
        )
    checked = {}
    for name, described in initial.items():
        if name not in model.states:
            raise unknown_name_error(
                "state variable", str(name), model.states, where=f"{where}, initial"
            )
        place = f"{where}, initial {name}"
        checked[name] = state_value(described, model.states[name], size, precision, where=place)
    return FrozenMapping(checked)


def state_value(
    described: ValueLike, state: State, size: int, precision: Precision, *, where: str
) -> Value:
    """Return the checked values of a state variable of `size` neurons.

    Raises
    ------
    DescriptionError
        If it is not a value, has the wrong shape, or cannot be stored in the variable's type.
    """
    value = as_value(described, where=where)
    if isinstance(value, np.ndarray):
        check_shape(value, (size,), where=where, meaning="one value per neuron")
    largest = float(np.finfo(precision).max)
    check_value(value, COUNT if state.integer else Interval(-largest, largest), where=where)
    if state.integer and (isinstance(value, Distribution) or (np.asarray(value) % 1.0).any()):
        raise DescriptionError(
            "must be an integer number of steps", where=where, value=value, allowed="integers >= 0"
        )
    return value


Target: TypeAlias = Population | PopulationView | str


def as_view(target: object, *, where: str) -> PopulationView:
    """Return the view that a target stands for.

    Raises
    ------
    DescriptionError
        If it is neither a population, a view nor a name.
    """
    if isinstance(target, PopulationView):
        return target
    if isinstance(target, Population):
        return PopulationView(target.name, 0, target.size)
    if isinstance(target, str):
        return PopulationView(target)
    raise DescriptionError(
        "not a target",
        where=where,
        value=target,
        allowed="a Population, a PopulationView or a name",
    )
