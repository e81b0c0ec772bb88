"""Arrays whose rows are read from a store by slices: those of one rank, and joined ones."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.zarr_nodes import ZarrArray, check_chunks_exist, location, store_errors


class SlicedArray(ABC):
    """An array that is indexed by slices and integers, and reads its rows when it is indexed.

    It has the interface of a Dask source: shape, dtype, ndim and indexing.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and of columns if there are any."""

    @abstractmethod
    def load(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows [start, stop)."""

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        rows, *columns = key if isinstance(key, tuple) else (key,)
        if len(columns) >= self.ndim:
            raise IndexError(f"the array has {self.ndim} dimensions; given {key}")
        if isinstance(rows, slice):
            start, stop, stride = rows.indices(len(self))
            if stride < 1:
                raise IndexError(f"slices of rows must go forward; given {rows}")
            return np.asarray(
                self.load(start, max(start, stop))[(slice(None, None, stride), *columns)]
            )
        row = range(len(self))[rows]
        return np.asarray(self.load(row, row + 1)[(0, *columns)])


@dataclass(frozen=True)
class CommittedArray(SlicedArray):
    """The committed rows of a zarr array, indexed like an array.

    Attributes
    ----------
    array : zarr.Array
        The array on disk.
    rows : int
        The committed rows.
    """

    array: ZarrArray
    rows: int

    def __post_init__(self) -> None:
        if self.array.shape[0] < self.rows:
            raise StoreError(
                f"corrupt: {self.rows} rows committed, {self.array.shape[0]} stored",
                path=location(self.array),
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the committed rows."""
        return (self.rows, *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return np.dtype(self.array.dtype)

    @property
    def chunk_rows(self) -> int:
        """Rows per chunk."""
        return int(self.array.chunks[0])

    def __len__(self) -> int:
        return self.rows

    def load(self, start: int, stop: int) -> NDArray[Any]:
        """Return committed rows [start, stop) (StoreError if they are corrupt)."""
        check_chunks_exist(self.array, start, stop)
        with store_errors(location(self.array), "corrupt or unreadable"):
            return np.asarray(self.array[start:stop])
