"""How an engine sees the other ranks, if there are any."""

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Exchange(Protocol):
    """How an engine sees the other ranks.

    It is one of `distsnn.comm.exchange` or, with `known_until`, `distsnn.comm.group_exchange`.
    """

    outbox: npt.NDArray[np.int32]
    arrival_gid: npt.NDArray[np.uint32]
    arrival_step: npt.NDArray[np.int64]
    arrivals: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    scalars: npt.NDArray[np.float64]

    @property
    def known_until(self) -> npt.NDArray[np.int64] | None:
        """The loop before which all ranks' spikes are known; None: the epoch's first."""

    @property
    def address(self) -> int:
        """Address of the entry."""

    def explain(self, status: int) -> str:
        """Return an error's text."""


class Alone:
    """The buffers of an engine that has no other ranks."""

    known_until: None = None

    def __init__(self, most_spikes: int, epoch_steps: int) -> None:
        # one loop's spikes are taken from the outbox before the next's are written over them
        self.outbox = np.zeros(1 + epoch_steps + most_spikes * epoch_steps, np.int32)
        self.arrival_gid = np.zeros(most_spikes + 1, np.uint32)
        self.arrival_step = np.zeros(most_spikes + 1, np.int64)
        self.arrivals = np.zeros(1, np.int64)
        self.table = np.zeros(1, np.int64)
        self.scalars = np.zeros(1)
        self.address = 0

    def explain(self, status: int) -> str:
        """Raise AssertionError: nothing can fail."""
        raise AssertionError(f"no exchange, yet status {status}")
