"""The spike exchange, once an epoch, in compiled code that calls MPI itself.

A rank's message is its send buffer, int32 words::

    n | spikes in step 0, 1, ... epoch_steps - 1 | gid, gid, ... in (step, gid) order

One MPI_Allgather sends the first `stride` words of every send buffer. It carries all counts, so
every rank knows whether a message is longer. If a message is, one MPI_Allgatherv sends the words
that remain: the overflow round. All ranks compute the next stride from the same counts. The stride
doubles until the longest message fits, and halves after a window of exchanges that would fit into
half of it. So no spike is lost, and a burst costs one overflow round but no longer message later.
"""

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange_entries import (
    COMMUNICATOR,
    COUNTED_SOURCES,
    DATATYPE,
    EPOCH_STEPS,
    EXCHANGES,
    FIRST_STRIDE,
    LAYOUT,
    MAX_STRIDE,
    MAX_WORDS,
    MESSAGES,
    MIN_STRIDE,
    N_RECEIVED,
    OVERFLOW,
    RANK,
    RECEIVED_GID,
    RECEIVED_SPIKES,
    RECEIVED_STEP,
    SEND_BUFFER,
    SIZE,
    SKIP_FIRST,
    SKIP_LAST,
    SPIKES_FROM_RANK,
    STRIDE,
    STRIDE_CAP,
    TABLE_SIZE,
    WAIT,
    WINDOW,
    WINDOW_LEFT,
)
from distsnn.errors import DescriptionError

# Python names it from 3.13 on; the number is Linux's on x86 and ARM.
_NORESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class MpiHandles:
    """MPI handles as integers (0 in a dry run).

    Attributes
    ----------
    communicator, datatype : int
        Handles of the ranks that exchange, and of a 32-bit integer.
    """

    communicator: int = 0
    datatype: int = 0


@dataclass(frozen=True)
class ExchangeCounters:
    """Counters of an exchange since it was made.

    Attributes
    ----------
    exchanges : int
        Number of epochs exchanged.
    overflow_rounds : int
        Number of these epochs in which a message was longer than the stride.
    received_bytes : int
        Bytes received by this rank, its own messages included.
    max_spikes_per_message : int
        Maximum spikes of a rank in an epoch.
    received_spikes : int
        Number of spikes of other ranks.
    """

    exchanges: int
    overflow_rounds: int
    received_bytes: int
    max_spikes_per_message: int
    received_spikes: int


@dataclass(frozen=True, eq=False)
class ReceiveBuffer:
    """The spikes of other ranks, which exchanges fill in.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the iterations that emitted them.
    n_spikes : ndarray of int64, shape (1,)
        Number of these spikes.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    n_spikes: npt.NDArray[np.int64]

    @classmethod
    def with_capacity(cls, capacity: int) -> Self:
        """Return an empty buffer for `capacity` spikes."""
        gid, step = _reserved(capacity, np.uint32), _reserved(capacity, np.int64)
        return cls(gid, step, np.zeros(1, np.int64))


class Exchange:
    """The buffers and the kernel entry by which the epoch loop exchanges spikes.

    Made by `Communicator.exchange`. The epoch loop writes a rank's spikes of an epoch to
    `send_buffer` and calls ``entry(table, scalars, first, last, step)`` for the epoch
    [first, last), which may be shorter than `epoch_steps`; `step` is the iteration before which the
    run stops. The call returns 0, or an MPI error code that `error_text` describes.

    Parameters
    ----------
    entry : jit.Entry
        `blocking_entry`, `yielding_entry` or `dry_run_entry`.
    rank : int
        This rank.
    max_spikes_by_rank : sequence of int
        Maximum spikes of every rank in a step.
    max_spikes_total : int
        Maximum spikes of all ranks in a step, at least the sum of `max_spikes_by_rank`.
    epoch_steps : int
        Maximum steps between two exchanges.
    handles : MpiHandles
        MPI handles.
    error_text : callable
        Returns the description of an MPI error code.
    skip : range, optional
        Ranks whose spikes are skipped; by default this rank.
    receive_buffer : ReceiveBuffer, optional
        The receive buffer, if another exchange shares it.
    spikes_from_rank : ndarray of int64, shape (size,), optional
        The counts of spikes by rank, if they are part of another array.

    Attributes
    ----------
    send_buffer : ndarray of int32
        Entry 0: number of spikes. Entry 1 + i: spikes in the epoch's step i; entries past the end
        of a short epoch are not read. From entry 1 + `epoch_steps` on: gids (bit patterns of
        uint32) in (step, gid) order.
    received_gid : ndarray of uint32
        Spikes of other ranks from the last exchange, ordered by (rank, step).
    received_step : ndarray of int64
        The iterations of these spikes, in [first, last).
    n_received : ndarray of int64, shape (1,)
        Number of these spikes.
    table : ndarray of int64
        The entry's table, as `distsnn.comm.exchange_entries` documents.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    spikes_from_rank : ndarray of int64, shape (size,)
        Number of received spikes from each rank, of the neurons passed to `count_spikes_of`.
    complete_until : None
        All ranks' spikes are known up to the epoch's first step.
    group_counters : None
        This exchange has no rank groups.

    Raises
    ------
    DescriptionError
        An epoch can hold more spikes than MPI counts (2^31 - 1).
    ValueError
        `max_spikes_total` is less than the sum of `max_spikes_by_rank`, or `epoch_steps` is 0.
    """

    complete_until: None = None
    group_counters: None = None

    def __init__(
        self,
        entry: jit.KernelEntry,
        *,
        rank: int,
        max_spikes_by_rank: Sequence[int],
        max_spikes_total: int,
        epoch_steps: int,
        handles: MpiHandles,
        error_text: Callable[[int], str],
        skip: range | None = None,
        receive_buffer: ReceiveBuffer | None = None,
        spikes_from_rank: npt.NDArray[np.int64] | None = None,
    ) -> None:
        size, header = len(max_spikes_by_rank), 1 + epoch_steps
        if epoch_steps < 1:
            raise ValueError(f"epoch_steps is {epoch_steps}, must be at least 1")
        if max_spikes_total < sum(max_spikes_by_rank):
            raise ValueError(
                f"max_spikes_total is {max_spikes_total}, the ranks have {sum(max_spikes_by_rank)}"
            )
        capacity = max_spikes_total * epoch_steps
        if capacity + size * header > MAX_WORDS:
            raise DescriptionError(
                "an epoch of this many steps can hold more spikes than an exchange",
                where="exchange of spikes",
                value=epoch_steps,
                allowed=f"at most {max(1, MAX_WORDS // (max_spikes_total + size) - 1)} steps "
                f"for {max_spikes_total} neurons",
            )
        min_stride = _power_of_two(max(FIRST_STRIDE, 2 * header))
        longest_message = _power_of_two(header + max(max_spikes_by_rank) * epoch_steps)
        max_stride = max(min_stride, min(STRIDE_CAP, longest_message))
        self.send_buffer = _reserved(
            max(max_stride, header + max_spikes_by_rank[rank] * epoch_steps), np.int32
        )
        received = receive_buffer or ReceiveBuffer.with_capacity(capacity)
        self.received_gid, self.received_step = received.gid, received.step
        self.n_received = received.n_spikes
        self._messages = _reserved(size * max_stride, np.int32)
        self._overflow = _reserved(capacity, np.int32)
        self._layout = np.zeros(2 * size, np.int32)
        self._wait = np.zeros(16, np.int64)
        if spikes_from_rank is None:
            spikes_from_rank = np.zeros(size, np.int64)
        self.spikes_from_rank = spikes_from_rank
        self.scalars = np.zeros(1, np.float64)
        self.table = np.zeros(TABLE_SIZE, np.int64)
        for index, buffer in (
            (SEND_BUFFER, self.send_buffer),
            (MESSAGES, self._messages),
            (OVERFLOW, self._overflow),
            (RECEIVED_GID, self.received_gid),
            (RECEIVED_STEP, self.received_step),
            (N_RECEIVED, self.n_received),
            (LAYOUT, self._layout),
            (WAIT, self._wait),
            (SPIKES_FROM_RANK, self.spikes_from_rank),
        ):
            self.table[index] = buffer.ctypes.data
        # A 32-bit handle above 2^31 comes sign-extended to 64 bits, as an unsigned number.
        unsigned = self.table.view(np.uint64)
        unsigned[COMMUNICATOR], unsigned[DATATYPE] = handles.communicator, handles.datatype
        self.table[RANK], self.table[SIZE], self.table[EPOCH_STEPS] = rank, size, epoch_steps
        skip = range(rank, rank + 1) if skip is None else skip
        self.table[SKIP_FIRST], self.table[SKIP_LAST] = skip.start, skip.stop
        self.table[STRIDE] = self.table[MIN_STRIDE] = min_stride
        self.table[MAX_STRIDE] = max_stride
        self.table[WINDOW_LEFT] = WINDOW
        self.epoch_steps = epoch_steps
        self.error_text = error_text
        self._entry = entry

    @property
    def address(self) -> int:
        """Address of the entry; the first access compiles it."""
        return self._entry.address

    @property
    def counters(self) -> ExchangeCounters:
        """The counters so far."""
        return ExchangeCounters(
            *(int(self.table[i]) for i in range(EXCHANGES, RECEIVED_SPIKES + 1))
        )

    def count_spikes_of(self, neurons: npt.NDArray[np.uint64]) -> None:
        """Count the received spikes of some neurons in `spikes_from_rank` from now on.

        Parameters
        ----------
        neurons : ndarray of uint64
            A bitmap over all gids: bit g % 64 of word g // 64.
        """
        self._counted_sources = neurons
        self.table[COUNTED_SOURCES] = neurons.ctypes.data


def _reserved(size: int, dtype: type[np.generic]) -> np.ndarray:
    # The buffers hold the worst case, and untouched pages cost nothing. NORESERVE: the kernel must
    # not refuse a worst case beyond the machine's memory.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    item = np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1) * item, flags=flags), dtype, size)


def _power_of_two(words: int) -> int:
    """Return the smallest power of two that is at least `words`."""
    return 1 << (words - 1).bit_length()
