"""Tables of calls, and the arrays behind the addresses in them, kept alive together."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.jit import KernelEntry
from distsnn.kernels import loop

FOREVER = 1 << 62
_ENTRY = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 6)


def address(array: npt.NDArray[Any]) -> int:
    """Return the address of an array's first element."""
    if not array.flags.c_contiguous:
        raise ValueError("kernels take contiguous arrays")
    return int(array.ctypes.data)


@dataclass(eq=False)
class KernelCall:
    """One entry with its table, range and the loops in which it is called.

    Parameters
    ----------
    entry : jit.KernelEntry
        The compiled function.
    table : ndarray of int64
        Addresses and integers.
    scalars : ndarray of float64
        Real numbers.
    first, last : int
        Range of local neurons.
    start, stop : int
        It is called in loops start <= k < stop,
    every, phase : int
        of which (k - phase) is a multiple of `every`.
    referenced_arrays : dict of int to ndarray
        Arrays whose addresses are in the table, by their word.
    grow : callable or None
        Makes room if the call returned GROW, before it is made again; None: it never does.
    """

    entry: KernelEntry
    table: npt.NDArray[np.int64]
    first: int
    last: int
    scalars: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    start: int = 0
    stop: int = FOREVER
    every: int = 1
    phase: int = 0
    referenced_arrays: dict[int, npt.NDArray[Any]] = field(default_factory=dict)
    grow: Callable[[], None] | None = None

    def bind(self, position: int, array: npt.NDArray[Any], offset: int = 0) -> None:
        """Set a word of the table to an array's address (less `offset` elements), and keep it.

        The previous array of this word is released.
        """
        self.table[position] = address(array) - offset * array.itemsize
        self.referenced_arrays[position] = array


def invoke(call: KernelCall, step: int, first: int | None = None, last: int | None = None) -> int:
    """Call an entry as the loop does, over its own range or another, and return its status."""
    low, high = call.first if first is None else first, call.last if last is None else last
    function = _ENTRY(call.entry.address)
    return int(function(address(call.table), address(call.scalars), low, high, step))


def call_row(call: KernelCall) -> tuple[int, ...]:
    """Return the row of a call in a table of `kernels.loop.CALL`."""
    addresses = call.entry.address, address(call.table), address(call.scalars)
    return *addresses, call.first, call.last, call.start, call.stop, call.every, call.phase


def call_table(calls: Sequence[KernelCall]) -> npt.NDArray[np.void]:
    """Return the calls as the loop takes them, `kernels.loop.CALL`."""
    return np.array([call_row(call) for call in calls], loop.CALL)
