"""State variables: each is declared once, as a `StateField`, by the holder of its values.

Saving, restoring, digests and the check of what a checkpoint must hold walk the holders of an
engine (`RankEngine.state_holders`, `engine.snapshot`); memory estimates add up what fields take.
Nothing else knows a state variable by its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distsnn.network import Projection

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
Key = tuple[str, str, str]

Owner = Literal["neuron", "source", "target", "synapse", "modulator", "stimulus", "rank", "script"]


@dataclass(frozen=True)
class StateField:
    """Declaration of a state variable.

    Parameters
    ----------
    population : str
        The population in whose blocks its values are saved.
    group : str
        Its group among the variables of this population: what the variables are, and the
        projection, stimulus or rule to which they belong, such as ``"sources/E->I"``. So the name
        of a user's variable is never that of one of distsnn's own.
    name : str
        Its name in the group.
    owner : {"neuron", "source", "target", "synapse", "modulator", "stimulus", "rank", "script"}
        What has a value. Neurons, sources and targets of a projection, and neurons that a stimulus
        reaches have `size` values each. Of synapses, and of what a rank holds for its neurons, a
        block has as many as there are. Values of a modulator, and what a script has set of stimuli,
        are the same for all blocks.
    dtype : str
        Type of the values.
    unit : str
        Their unit.
    size : int
        Values of each neuron, or for all blocks.
    count_group : str
        Group in which the number of values is saved for each block, as ``count``, where blocks
        differ in it.
    """

    population: str
    group: str
    name: str
    owner: Owner
    dtype: str
    unit: str = "1"
    size: int = 1
    count_group: str = ""

    @property
    def key(self) -> Key:
        """Population, group and name, by which values are saved."""
        return self.population, self.group, self.name

    @property
    def count_key(self) -> Key:
        """The same for the number of values of each block."""
        return self.population, self.count_group, "count"

    @property
    def everywhere(self) -> bool:
        """Whether every rank needs the values of the whole population.

        A rank has rows of synapses from any source.
        """
        return self.owner == "source" or self.shared

    @property
    def shared(self) -> bool:
        """Whether the values belong to the whole network: equal for all blocks and ranks."""
        return self.owner in ("modulator", "script")

    @property
    def nbytes(self) -> int:
        """Bytes of a neuron's values."""
        return self.size * np.dtype(self.dtype).itemsize

    def zeros(self, n: int) -> Values:
        """Return an array for `n` neurons."""
        return np.zeros(n if self.size == 1 else (n, self.size), self.dtype)


class StateHolder(ABC):
    """Holder of the values of some fields on a rank."""

    @property
    @abstractmethod
    def fields(self) -> tuple[StateField, ...]:
        """The fields, the same on all ranks."""

    def declare(self, saved: Iterable[StateField]) -> None:  # noqa: B027 (most know all)
        """Declare the fields that only the checkpoint has: parameters that were set before it."""

    @abstractmethod
    def take(self, step: int) -> list[Values]:
        """Return copies of the values at a step, an array of one dimension for each field.

        They are in the order of the rank's blocks, within them in an order that does not depend on
        ranks.
        """

    @abstractmethod
    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the values to those taken at a step; of fields everywhere, to all ranks' joined."""


class CountedHolder(StateHolder):
    """A holder of fields whose number of values differs between blocks."""

    @abstractmethod
    def counts(self) -> Ints:
        """Return the number of values in each of the rank's blocks."""


class NeuronHolder(StateHolder):
    """A holder that has arrays with a row for each of some neurons of a population.

    Attributes
    ----------
    neurons : ndarray of int64, shape (n,)
        The neuron of each row, -1 for padding.
    """

    neurons: Ints

    @abstractmethod
    def arrays(self) -> Iterable[Values]:
        """Return the arrays of the fields, which `put` fills in."""

    def take(self, step: int) -> list[Values]:
        """Return copies of the values of the neurons."""
        is_neuron = self.neurons >= 0
        return [array[is_neuron].reshape(-1) for array in self.arrays()]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the values of the neurons."""
        is_neuron = self.neurons >= 0
        for field, array, saved_values in zip(self.fields, self.arrays(), values, strict=True):
            rows = saved_values.reshape(-1, *array.shape[1:])
            array[is_neuron] = rows[self.neurons[is_neuron]] if field.everywhere else rows


def projection_fields(
    projection: Projection,
    owner: Owner,
    group: str,
    variables: Mapping[str, tuple[str, str]],
    *,
    sizes: Mapping[str, int] = MappingProxyType({}),
    count_group: str = "",
) -> tuple[StateField, ...]:
    """Declare variables of a projection, with types and units by name.

    Variables of sources are saved with the source population, all others with the target
    population.
    """
    view = projection.pre if owner == "source" else projection.post
    return tuple(
        StateField(
            *(view.population, f"{group}/{projection.name}", name, owner, dtype, unit),
            size=sizes.get(name, 1),
            count_group=f"{count_group}/{projection.name}" if count_group else "",
        )
        for name, (dtype, unit) in variables.items()
    )


def saved_names(
    saved: Iterable[StateField], population: str, group: str, projection: Projection | None = None
) -> set[str]:
    """Return the names of the variables of a group that a checkpoint has.

    Parameters
    ----------
    saved : iterable of StateField
        The variables of the checkpoint.
    population : str
        The population with which they are saved.
    group : str
        The group, without the projection's name.
    projection : Projection, optional
        The projection to which they belong.
    """
    path = group if projection is None else f"{group}/{projection.name}"
    return {field.name for field in saved if (field.population, field.group) == (population, path)}
