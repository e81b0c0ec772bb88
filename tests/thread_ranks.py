"""Ranks as threads of one process: the communicator protocol without MPI."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from distsnn.comm import Communicator
from distsnn.comm.exchange import Exchange
from distsnn.comm.group_exchange import GroupExchange


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
        return None

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> GroupExchange | None:
        return None

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


def run(size: int, main: Callable[[Communicator], Any]) -> tuple[list[Any], int | None]:
    """Run `main` on all ranks: what each returned or raised, and the code of an abort."""
    shared = Shared(size)
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
    return results, shared.aborted
