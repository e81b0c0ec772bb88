"""The epoch loop of a rank: its state, calls, buffers of spikes and exchange (`kernels.loop`)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall, address, call_table
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import Ints, Values
from distsnn.kernels import emission, loop

# Minimum capacity of the buffer of spikes: each time it is full, the loop returns to Python.
_MIN_BUFFER = 1 << 16


class EngineError(RuntimeError):
    """The exchange with the other ranks failed."""


class SpikeBuffers(Protocol):
    """The buffers of spikes that the loop sends and receives."""

    send_buffer: npt.NDArray[np.int32]
    received_gid: npt.NDArray[np.uint32]
    received_step: npt.NDArray[np.int64]
    n_received: npt.NDArray[np.int64]

    @property
    def complete_until(self) -> npt.NDArray[np.int64] | None:
        """The loop before which all ranks' spikes are known; None: the epoch's first."""


class SpikeExchange(SpikeBuffers, Protocol):
    """An engine's connection to the other ranks.

    It is one of `distsnn.comm.exchange` or, with `complete_until`, `distsnn.comm.group_exchange`.
    """

    table: npt.NDArray[np.int64]
    scalars: npt.NDArray[np.float64]

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


class EpochLoop:
    """The compiled loop of a rank, which runs once it is connected and has calls for every phase.

    Parameters
    ----------
    max_spikes : int
        Maximum number of spikes of this rank in one iteration.

    Attributes
    ----------
    max_spikes : int
        Maximum number of spikes of this rank in one iteration.
    state : ndarray of int64, shape (STATE_SIZE,)
        The loop's own state, indexed by the names in `kernels.loop`.
    exchange : SpikeBuffers
        The exchange with other ranks, or the buffers of a single rank, once connected.
    complete_until : ndarray of int64, shape (1,)
        Iteration before which the spikes of all ranks have arrived, once connected.
    """

    def __init__(self, max_spikes: int) -> None:
        self.max_spikes = max_spikes
        self.state = np.zeros(loop.STATE_SIZE, np.int64)
        self._ticks = np.zeros(loop.TICKS_SIZE, np.int64)
        capacity = max(_MIN_BUFFER, 2 * max_spikes)
        self._spike_step = np.empty(capacity, np.int32)
        self._spike_gid = np.empty(capacity, np.uint32)
        self._calls: dict[str, Sequence[KernelCall]] = {}
        self._tables: dict[str, npt.NDArray[np.void]] = {}

    def connect(self, exchange: SpikeExchange | None, epoch_steps: int) -> None:
        """Set the exchange (None: there is one rank) and the maximum iterations in an epoch."""
        self.exchange: SpikeBuffers = exchange or NoExchange(self.max_spikes, epoch_steps)
        self._exchange_call = np.zeros(0 if exchange is None else 1, loop.CALL)
        self._error_text: Callable[[int], str] = str  # only an exchange can fail
        if exchange is not None:
            self._error_text = exchange.error_text
            self._exchange_call["function"] = exchange.address
            self._exchange_call["table"] = address(exchange.table)
            self._exchange_call["scalars"] = address(exchange.scalars)
        state, complete_until = self.state, self.exchange.complete_until
        self.complete_until = (
            state[loop.EPOCH_START :][:1] if complete_until is None else complete_until
        )
        state[loop.EPOCH_STEPS] = epoch_steps
        state[loop.MAX_SPIKES_PER_ITERATION] = self.max_spikes

    @property
    def received(self) -> tuple[npt.NDArray[np.uint32], Ints]:
        """Spikes to deliver: gids, and the iterations that emitted them."""
        return self.exchange.received_gid, self.exchange.received_step

    def emission_arrays(self) -> dict[int, Values]:
        """Return the arrays that receive emitted spikes, by word of an update call's table."""
        state, first_gid = self.state, 1 + int(self.state[loop.EPOCH_STEPS])
        return {
            emission.EMITTED: self.exchange.send_buffer[first_gid:],
            emission.N_EMITTED: state[loop.N_EMITTED : loop.N_EMITTED + emission.COUNTS_SIZE],
        }

    def set_calls(self, phase: str, calls: Sequence[KernelCall]) -> None:
        """Set the calls of a phase: 'collects', 'updates', 'probes' or 'delivers'."""
        self._calls[phase] = calls
        self._tables[phase] = call_table(calls)

    def set_table(self, phase: str, table: npt.NDArray[np.void]) -> None:
        """Set the table of a phase, whose calls the caller keeps alive: 'stimuli'."""
        self._tables[phase] = table

    @property
    def iteration(self) -> int:
        """The next iteration, which is the number of iterations done."""
        return int(self.state[loop.ITERATION])

    @property
    def epochs(self) -> int:
        """Number of epochs so far."""
        return int(self.state[loop.EPOCHS])

    def ticks_by_phase(self) -> dict[str, int]:
        """Return the time by phase, in ticks of unknown length."""
        ticks = self._ticks
        return {
            "update": int(ticks[loop.UPDATE] + ticks[loop.STIMULI] + ticks[loop.PROBES]),
            "deliver": int(ticks[loop.COLLECT] + ticks[loop.DELIVER]),
            "exchange": int(ticks[loop.EXCHANGE]),
            "record": int(ticks[loop.RECORD]),
        }

    def run(self, stop: int, on_request: Callable[[], None]) -> Iterator[Spikes]:
        """Run up to an iteration.

        Parameters
        ----------
        stop : int
            Iteration to stop before.
        on_request : callable
            Called before an iteration for which a call needs Python.

        Yields
        ------
        (ndarray of int32, ndarray of uint32)
            The next spikes of this rank, steps and gids; the arrays are reused.

        Raises
        ------
        EngineError
            If the exchange failed.
        """
        state = self.state
        state[loop.STOP] = stop
        status = loop.FLUSH
        while status != loop.DONE:
            status = self._enter()
            if state[loop.PYTHON_REQUESTED]:
                state[loop.PYTHON_REQUESTED] = 0
                on_request()
            n_spikes = int(state[loop.N_SPIKES])
            if n_spikes:
                yield self._spike_step[:n_spikes], self._spike_gid[:n_spikes]
                state[loop.N_SPIKES] = 0

    def _enter(self) -> int:
        """Enter the compiled loop until it is DONE, or until spikes must be taken (FLUSH)."""
        tables, exchange = self._tables, self.exchange
        while True:
            status = loop.run(
                self.state,
                self._ticks,
                tables["collects"],
                tables["stimuli"],
                tables["updates"],
                tables["probes"],
                tables["delivers"],
                self._exchange_call,
                exchange.send_buffer,
                exchange.n_received,
                exchange.received_gid,
                exchange.received_step,
                self._spike_step,
                self._spike_gid,
            )
            if status == loop.FAILED:
                raise EngineError(self._error_text(int(self.state[loop.ERROR])))
            if status != loop.GROW:
                return int(status)
            full = self._calls["delivers"][int(self.state[loop.PENDING_AT])]
            assert full.grow is not None
            full.grow()

    def set_iteration(self, iteration: int, *, stop: int) -> None:
        """Set the next iteration, which starts an epoch, and the iteration to stop before."""
        state = self.state
        state[loop.ITERATION] = state[loop.EPOCH_START] = state[loop.EPOCH_END] = iteration
        state[loop.STOP] = stop
        self.complete_until[0] = iteration

    @contextmanager
    def only_delivering(
        self, collects: Sequence[KernelCall], delivers: Sequence[KernelCall]
    ) -> Iterator[None]:
        """Make other calls only; meanwhile nothing is updated and no exchange takes place.

        Epochs of this time are not counted.
        """
        before, epochs = (self._calls, self._tables, self._exchange_call), self.epochs
        self._calls = {}
        self._exchange_call = call_table([])
        self._tables = dict.fromkeys(self._tables, self._exchange_call)
        self.set_calls("collects", collects)
        self.set_calls("delivers", delivers)
        try:
            yield
        finally:
            self._calls, self._tables, self._exchange_call = before
            self.state[loop.EPOCHS] = epochs

    def collect(self, iteration: int) -> None:
        """Run one iteration, within `only_delivering`: delay runs that are due are added."""
        self.set_iteration(iteration, stop=iteration + 1)
        self._enter()

    def deliver(self, gid: npt.NDArray[np.uint32], iteration: int) -> None:
        """Deliver spikes that an iteration emitted, within `only_delivering`, after `collect`."""
        received_gid, received_step = self.received
        received_gid[: gid.size], received_step[: gid.size] = gid, iteration
        self.state[loop.PENDING] = gid.size if self._calls["delivers"] else 0
        self._enter()
