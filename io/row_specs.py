"""Specifications of a rank's recordings of states and weights, with a row for each time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.fixed_sums import QUANTA, first_unsummable, fixed_sums, max_summand
from distsnn.io.schema import check_component

# Bytes of a time block (chunk) of one variable: at most a few dozen blocks per second.
_BLOCK_BYTES = 2**20
_MAX_ROWS = 2**16


@dataclass(frozen=True)
class StateVariable:
    """One variable of a recording.

    Attributes
    ----------
    unit : str
        Its unit, such as ``"mV"``.
    doc : str
        Its meaning.
    offset : float or ndarray of shape (n_columns,)
        Added to appended values: a kernel that stores V_m relative to E_L records absolute mV with
        ``offset=E_L``. The sum is computed in float64, then rounded to `dtype`.
    dtype : str or None
        float32, float64 or int32; None: the type of the recording.
    """

    unit: str
    doc: str = ""
    offset: float | NDArray[np.floating[Any]] = 0.0
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecordingSpec(ABC):
    """A rank's part of one recording, with a row for each recorded step.

    Attributes
    ----------
    name : str
        Name of the recording, the same on every rank.
    variables : mapping of str to StateVariable
        Recorded variables.
    dtype : str
        float32, float64 or int32, for variables without a type.
    interval_steps : int
        Steps between rows.
    first_step : int
        Step of row 0: the first multiple of `interval_steps` after the attempt's first step.
    rows : int
        Expected number of rows, the initial size of the arrays, which can grow.
    """

    kind: ClassVar[str]
    folder: ClassVar[str]

    name: str
    variables: Mapping[str, StateVariable]
    dtype: str
    interval_steps: int
    first_step: int
    rows: int = 0

    @property
    @abstractmethod
    def columns(self) -> dict[str, NDArray[Any]]:
        """Arrays that describe the columns, of equal length, by name."""

    @property
    def n_columns(self) -> int:
        """Number of columns, which may be 0."""
        return len(next(iter(self.columns.values())))

    @property
    def block_rows(self) -> int:
        """Rows per time block: the largest power of two within 1 MiB, at least 1."""
        dtypes = (self.stored_dtype(variable) for variable in self.variables)
        return block_rows(self.n_columns, max(np.dtype(dtype).itemsize for dtype in dtypes))

    @property
    def n_values(self) -> int:
        """Number of values in an appended row."""
        return self.n_columns

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the stored group that only this kind of recording has."""
        return {}

    def stored_dtype(self, variable: str) -> str:
        """Return the type of a variable's array."""
        return self.variables[variable].dtype or self.dtype

    def stored_rows(
        self, variable: str, values: NDArray[Any], step: Callable[[int], int], *, path: str
    ) -> NDArray[Any]:
        """Return the rows that are stored for appended values of a variable.

        Parameters
        ----------
        variable : str
            The variable.
        values : ndarray, shape (n_rows, n_values)
            Its values, before its offset is added.
        step : callable
            Returns the step of a row, which counts from 0.
        path : str
            The recording, for errors.

        Raises
        ------
        StoreError
            If values cannot be stored.
        """
        offset = self.variables[variable].offset
        if isinstance(offset, float | int) and offset == 0.0:
            return np.asarray(values)
        summed: NDArray[Any] = np.asarray(values, np.float64) + offset
        return summed

    def __post_init__(self) -> None:
        where = f"{self.kind} recording {self.name!r}"
        check_component(self.name, where=where)
        for variable in self.variables:
            check_component(variable, where=where)
        for name in self.columns:
            if name in self.variables:
                raise DescriptionError(
                    f"a recorded variable cannot be called {name!r}", where=where
                )
        if not self.variables:
            raise DescriptionError("no variables", where=where)
        for field, minimum in (("interval_steps", 1), ("first_step", 1), ("rows", 0)):
            value = getattr(self, field)
            if value < minimum:
                raise DescriptionError(
                    f"{field} is too small", where=where, value=value, allowed=f"at least {minimum}"
                )


@dataclass(frozen=True, kw_only=True)
class StateRecordingSpec(RecordingSpec):
    """A rank's part of a recording of states; attributes as in `RecordingSpec`, and

    Attributes
    ----------
    gids : ndarray of uint32, shape (n_neurons,)
        This rank's recorded neurons, the columns.
    """

    kind: ClassVar[str] = "state"
    folder: ClassVar[str] = "state"

    gids: NDArray[np.uint32]

    @property
    def columns(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (inherited)
        return {"gid": self.gids}


@dataclass(frozen=True, kw_only=True)
class SumRecordingSpec(StateRecordingSpec):
    """A rank's part of a recording of sums over neurons; attributes as in `StateRecordingSpec`, and

    Attributes
    ----------
    gids : ndarray of uint32, shape (n_neurons,)
        This rank's neurons, over which it sums. The columns are the two parts of a sum in fixed
        point (see `distsnn.io.fixed_sums`).
    n_neurons : int
        Number of neurons on all ranks.
    """

    n_neurons: int

    @property
    def columns(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (inherited)
        return {"quantum": np.array(QUANTA)}

    @property
    def n_values(self) -> int:  # noqa: D102 (inherited)
        return len(self.gids)

    @property
    def attributes(self) -> dict[str, Any]:  # noqa: D102 (inherited)
        return {"neurons": len(self.gids)}

    def stored_dtype(self, variable: str) -> str:  # noqa: D102 (inherited)
        return "int64"

    def stored_rows(  # noqa: D102 (inherited)
        self, variable: str, values: NDArray[Any], step: Callable[[int], int], *, path: str
    ) -> NDArray[Any]:
        values = super().stored_rows(variable, values, step, path=path)
        # rounded as they would be stored: a sum is the sum of what a full recording shows
        values = values.astype(super().stored_dtype(variable), copy=False)
        bad = first_unsummable(values, self.n_neurons)
        if bad is not None:
            raise StoreError(
                f"{variable} of gid {self.gids[bad[1]]} is {values[bad]} at step {step(bad[0])} "
                f"and cannot be summed; allowed: finite values up to "
                f"{max_summand(self.n_neurons):g}",
                path=path,
            )
        return fixed_sums(values)


@dataclass(frozen=True, kw_only=True)
class WeightRecordingSpec(RecordingSpec):
    """A rank's part of a recording of weights; attributes as in `RecordingSpec`, and

    Attributes
    ----------
    sources, targets : ndarray of uint32, shape (n_synapses,)
        Gids of this rank's recorded synapses, the columns, in the order of sources; multapses are
        in the order in which they were drawn.
    delays : ndarray of int32, shape (n_synapses,)
        Their delays, steps.
    """

    kind: ClassVar[str] = "weight"
    folder: ClassVar[str] = "weights"

    sources: NDArray[np.uint32]
    targets: NDArray[np.uint32]
    delays: NDArray[np.int32]

    @property
    def columns(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (inherited)
        return {"source": self.sources, "target": self.targets, "delay": self.delays}


def block_rows(n_columns: int, itemsize: int) -> int:
    """Return the rows per time block: the largest power of two within 1 MiB, at least 1."""
    fitting = _BLOCK_BYTES // max(1, n_columns * itemsize)
    return int(min(_MAX_ROWS, 1 << max(0, fitting.bit_length() - 1)))
