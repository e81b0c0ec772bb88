"""How an engine sees the other ranks, if there are any."""

from typing import Protocol

import numpy as np
import numpy.typing as npt


class SpikeExchange(Protocol):
    """How an engine sees the other ranks.

    It is one of `distsnn.comm.exchange` or, with `complete_until`, `distsnn.comm.group_exchange`.
    """

    send_buffer: npt.NDArray[np.int32]
    received_gid: npt.NDArray[np.uint32]
    received_step: npt.NDArray[np.int64]
    n_received: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    scalars: npt.NDArray[np.float64]

    @property
    def complete_until(self) -> npt.NDArray[np.int64] | None:
        """The loop before which all ranks' spikes are known; None: the epoch's first."""

    @property
    def address(self) -> int:
        """Address of the entry."""

    def error_text(self, status: int) -> str:
        """Return an error's text."""


class NoExchange:
    """The buffers of an engine that has no other ranks."""

    complete_until: None = None

    def __init__(self, most_spikes: int, epoch_steps: int) -> None:
        # one loop's spikes are taken from the send_buffer before the next's are written over them
        self.send_buffer = np.zeros(1 + epoch_steps + most_spikes * epoch_steps, np.int32)
        self.received_gid = np.zeros(most_spikes + 1, np.uint32)
        self.received_step = np.zeros(most_spikes + 1, np.int64)
        self.n_received = np.zeros(1, np.int64)
        self.table = np.zeros(1, np.int64)
        self.scalars = np.zeros(1)
        self.address = 0

    def error_text(self, status: int) -> str:
        """Raise AssertionError: nothing can fail."""
        raise AssertionError(f"no exchange, yet status {status}")
