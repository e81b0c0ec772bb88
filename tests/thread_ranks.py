"""Ranks as threads of one process: the communicator protocol without MPI, spikes included."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from distsnn.comm import Communicator
from distsnn.comm.exchange import Exchange, MpiHandles
from distsnn.comm.exchange_entries import EXCHANGES, RECEIVED_SPIKES
from distsnn.comm.group_exchange import GroupExchange

# A kernel entry: table, scalars, first, last and step.
_ENTRY = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 6)


class Aborted(BaseException):
    """Ends the threads of a job that a rank aborted."""


@dataclass
class Shared:
    """What the ranks of a job have in common."""

    size: int
    slots: list[Any] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    aborted: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.slots = [None] * self.size
        self.gate = threading.Barrier(self.size)

    def pass_gate(self) -> None:
        try:
            self.gate.wait(timeout=20)
        except threading.BrokenBarrierError:
            raise Aborted from None


class ThreadRank:
    """One rank; all are on one node."""

    cores = 2
    library = "threads"

    def __init__(self, rank: int, shared: Shared) -> None:
        self.rank = self.node_rank = rank
        self.size = self.node_size = shared.size
        self.shared = shared

    def allgather(self, value: Any) -> list[Any]:
        self.shared.slots[self.rank] = value
        self.shared.pass_gate()
        values = list(self.shared.slots)
        self.shared.pass_gate()
        return values

    def gather(self, value: Any) -> list[Any] | None:
        values = self.allgather(value)
        return values if self.rank == 0 else None

    def bcast(self, value: Any) -> Any:
        return self.allgather(value)[0]

    def allreduce_max(self, value: Any) -> Any:
        values = self.allgather(value)
        return np.max(values, axis=0) if isinstance(value, np.ndarray) else max(values)

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [sent[self.rank] for sent in self.allgather(list(parts))]

    def barrier(self) -> None:
        self.shared.pass_gate()

    def node_barrier(self) -> None:
        self.shared.pass_gate()

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> Exchange | None:
        if self.size == 1:
            return None
        sizes = self.allgather(max_spikes)
        return ThreadExchange(self, sizes, max_spikes_total, epoch_steps)

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> GroupExchange | None:
        raise NotImplementedError("threads have no rank groups")

    def gather_exit_codes(self, code: int, timeout_s: float | None) -> tuple[int, ...] | None:
        self.shared.codes[self.rank] = code
        begin = time.monotonic()
        while len(self.shared.codes) < self.size:
            if self.shared.aborted is not None:
                raise Aborted
            if timeout_s is not None and time.monotonic() - begin > timeout_s:
                return None
            time.sleep(0.01)
        return tuple(self.shared.codes[rank] for rank in range(self.size))

    def abort(self, code: int) -> NoReturn:
        with self.shared.lock:
            if self.shared.aborted is None:
                self.shared.aborted = code
        self.shared.gate.abort()
        raise Aborted


class ThreadExchange(Exchange):
    """The exchange of spikes between threads; its kernel entry is a Python function."""

    def __init__(
        self, rank: ThreadRank, max_spikes_by_rank: list[int], total: int, epoch_steps: int
    ) -> None:
        self._rank, self._function = rank, _ENTRY(self._exchange)
        self._is_counted: np.ndarray | None = None
        super().__init__(
            self,  # type: ignore[arg-type]  # of an entry it takes the address only
            rank=rank.rank,
            max_spikes_by_rank=max_spikes_by_rank,
            max_spikes_total=total,
            epoch_steps=epoch_steps,
            handles=MpiHandles(),
            error_text=self._raise_aborted,
        )

    @property
    def address(self) -> int:
        return int(ctypes.cast(self._function, ctypes.c_void_p).value or 0)

    def count_spikes_of(self, neurons: np.ndarray) -> None:
        self._is_counted = np.unpackbits(neurons.view(np.uint8), bitorder="little") == 1

    @staticmethod
    def _raise_aborted(code: int) -> NoReturn:
        raise Aborted

    def _exchange(self, table: int, scalars: int, first: int, last: int, step: int) -> int:
        # an error must not pass through compiled code
        try:
            n, counts = int(self.send_buffer[0]), self.send_buffer[1 : 1 + last - first]
            gids = self.send_buffer[1 + self.epoch_steps :][:n].view(np.uint32)
            parts = self._rank.allgather((gids.copy(), np.repeat(np.arange(first, last), counts)))
        except Aborted:
            return 1
        for rank, (gids, _) in enumerate(parts):
            if rank != self._rank.rank and self._is_counted is not None:
                self.spikes_from_rank[rank] += np.count_nonzero(self._is_counted[gids])
        others = [part for rank, part in enumerate(parts) if rank != self._rank.rank]
        gids, steps = (np.concatenate(column) for column in zip(*others, strict=True))
        self.received_gid[: gids.size], self.received_step[: gids.size] = gids, steps
        self.n_received[0] = gids.size
        self.table[EXCHANGES] += 1
        self.table[RECEIVED_SPIKES] += gids.size
        return 0


def run(size: int, main: Callable[[Communicator], Any]) -> tuple[list[Any], int | None]:
    """Run `main` on all ranks: what each returned or raised, and the code of an abort.

    All heartbeats must have ended. One that goes on may end this process later, in another test.
    """
    shared, heartbeats = Shared(size), _heartbeats()
    results: list[Any] = [None] * size

    def body(rank: int) -> None:
        try:
            results[rank] = main(ThreadRank(rank, shared))
        except BaseException as error:
            results[rank] = error

    threads = [threading.Thread(target=body, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert _heartbeats() <= heartbeats, "close each Simulation, and stop each Heartbeat"
    return results, shared.aborted


def _heartbeats() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "distsnn-heartbeat"}
