"""The communicator of MPI ranks: the only module that imports mpi4py, imported on demand."""

import ctypes
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast, overload

import llvmlite.binding
import mpi4py
import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange import Exchange, MpiHandles
from distsnn.comm.exchange_entries import blocking_entry, yielding_entry
from distsnn.comm.group_entries import blocking_group_entry, yielding_group_entry
from distsnn.comm.group_exchange import GroupExchange, ranks_of_group

if "mpi4py.MPI" not in sys.modules:
    # Initialised below, once the launcher is known to fit the library: some libraries kill the
    # process otherwise.
    mpi4py.rc.initialize = False
    mpi4py.rc.finalize = True

with warnings.catch_warnings():
    # mpi4py's warning about the launcher of another MPI, for which `world` raises an error.
    warnings.simplefilter("ignore", RuntimeWarning)
    from mpi4py import MPI

T = TypeVar("T")
Bytes = npt.NDArray[np.uint8]

_BUSY_POLLS = 200  # polls at full speed before a waiting rank starts to sleep
_SLEEP_FRACTION = 0.05  # of the time waited so far: a wait ends at most 5 % late
_MIN_SLEEP_S, _MAX_SLEEP_S = 50e-6, 10e-3
# Requests after a timeout. They keep their arrays, into which MPI may still write.
_abandoned: list[MPI.Request] = []


def library() -> str:
    """Return name and version of the MPI library; MPI need not be initialised."""
    version = MPI.Get_library_version().splitlines()[0].partition(",")[0].strip("\x00")
    return " ".join(version.split())


def is_wheel() -> bool:
    """Return whether the library comes from PyPI's package mpich."""
    return "pypi.org/p/mpich" in MPI.Get_library_version()


class MPICommunicator:
    """The communicator of all ranks that an MPI launcher started.

    Attributes
    ----------
    rank, size, node_rank, node_size, cores, library
        As in `distsnn.comm.Communicator`.
    """

    def __init__(self) -> None:
        if not MPI.Is_initialized():
            if is_wheel() and "SLURM_STEP_ID" in os.environ:
                # Over several SLURM nodes its UCX exchanges truncated addresses in a third of all
                # starts: a crash or a hang in MPI_Init (MPICH 5.0.2, SLURM 24.11).
                os.environ.setdefault("MPIR_CVAR_CH4_NETMOD", "ofi")
            _initialise()
        # Separate communicators: a user's messages on COMM_WORLD do not mix with distsnn's, nor the
        # end of a job with collective calls in which other ranks may still be.
        self._all = MPI.COMM_WORLD.Dup()
        self._end = MPI.COMM_WORLD.Dup()
        self.rank: int = self._all.rank
        self.size: int = self._all.size
        self._node = self._all.Split_type(MPI.COMM_TYPE_SHARED, key=self.rank)
        self.node_rank: int = self._node.rank
        self.node_size: int = self._node.size
        # Ranks may be bound to different cores or to the same: the union counts.
        self.cores: int = len(set().union(*self._node.allgather(os.sched_getaffinity(0))))
        self.library = library()
        self._groups: dict[tuple[int, ...], MPI.Comm] = {}

    # Blocking calls spin inside the library, and take the time of the awaited rank if ranks share a
    # core. So objects are sent as bytes, in non-blocking calls that `_wait` completes.

    def bcast(self, value: T) -> T:
        """Return rank 0's `value` on all ranks."""
        data = _bytes_of(value) if self.rank == 0 else np.empty(0, np.uint8)
        size = np.array([data.size])
        _wait(self._all.Ibcast(size))
        if self.rank > 0:
            data = np.empty(size[0], np.uint8)
        _wait(self._all.Ibcast(data))
        return value if self.rank == 0 else cast(T, MPI.pickle.loads(data))

    def gather(self, value: T) -> list[T] | None:
        """Return all ranks' values on rank 0, None elsewhere."""
        data = _bytes_of(value)
        sizes = self._sizes(data)
        received = np.empty(sizes.sum() if self.rank == 0 else 0, np.uint8)
        _wait(self._all.Igatherv(data, (received, sizes) if self.rank == 0 else None))
        return _objects(received, sizes) if self.rank == 0 else None

    def allgather(self, value: T) -> list[T]:
        """Return all ranks' values."""
        data = _bytes_of(value)
        sizes = self._sizes(data)
        received = np.empty(sizes.sum(), np.uint8)
        _wait(self._all.Iallgatherv(data, (received, sizes)))
        return _objects(received, sizes)

    def _sizes(self, data: Bytes) -> npt.NDArray[np.int64]:
        sizes = np.empty(self.size, np.int64)
        _wait(self._all.Iallgather(np.array([data.size]), sizes))
        return sizes

    @overload
    def allreduce_max(self, value: int) -> int: ...
    @overload
    def allreduce_max(self, value: np.ndarray) -> np.ndarray: ...
    def allreduce_max(self, value: int | np.ndarray) -> int | np.ndarray:
        """Return the maximum over ranks, element by element."""
        array = np.array(value, order="C")
        result = np.empty_like(array)
        _wait(self._all.Iallreduce(array, result, MPI.MAX))
        return result if isinstance(value, np.ndarray) else int(result)

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Send an array to every rank and return the arrays received from every rank."""
        sizes = np.array([part.size for part in parts], np.int64)
        receive_sizes = np.empty_like(sizes)
        _wait(self._all.Ialltoall(sizes, receive_sizes))
        received = [np.empty(n, parts[0].dtype) for n in receive_sizes.tolist()]
        received[self.rank] = parts[self.rank]
        # As bytes: MPI has no structured dtypes.
        sent = [np.ascontiguousarray(part).view(np.uint8) for part in parts]
        remote = [rank for rank in range(self.size) if rank != self.rank]
        requests = [
            self._all.Irecv(received[r].view(np.uint8), r) for r in remote if receive_sizes[r]
        ]
        requests += [self._all.Isend(sent[r], r) for r in remote if sizes[r]]
        for request in requests:
            _wait(request)
        return received

    def barrier(self) -> None:
        """Wait for all ranks."""
        _wait(self._all.Ibarrier())

    def node_barrier(self) -> None:
        """Wait for the ranks of this node."""
        _wait(self._node.Ibarrier())

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> Exchange:
        """Return the spike exchange."""
        return Exchange(
            _entry(self._yields(yielding)),
            rank=self.rank,
            max_spikes_by_rank=self.allgather(max_spikes),
            max_spikes_total=max_spikes_total,
            epoch_steps=epoch_steps,
            handles=_handles(self._all),
            error_text=MPI.Get_error_string,
        )

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> GroupExchange:
        """Return an exchange at two levels."""
        return GroupExchange(
            _group_entry(self._yields(yielding)),
            rank=self.rank,
            max_spikes_by_rank=self.allgather(max_spikes),
            max_spikes_total=max_spikes_total,
            epoch_steps=epoch_steps,
            groups=groups,
            handles=(_handles(self._group(tuple(groups))), _handles(self._all)),
            error_text=MPI.Get_error_string,
        )

    def _yields(self, yielding: bool | None) -> bool:
        """Return whether compiled code yields its core while it waits. Collective."""
        _load_symbols()
        is_crowded = any(self.allgather(self.node_size > self.cores))
        return is_crowded if yielding is None else yielding

    def _group(self, groups: tuple[int, ...]) -> MPI.Comm:
        """Return the communicator of this rank's group. Collective.

        MPI limits the number of communicators, so each is made once.
        """
        if groups not in self._groups:
            self.barrier()  # Split spins while it waits
            start = ranks_of_group(groups, self.rank).start
            self._groups[groups] = self._all.Split(color=start, key=self.rank)
        return self._groups[groups]

    def gather_exit_codes(self, code: int, timeout_s: float | None) -> tuple[int, ...] | None:
        """Return the exit codes of all ranks, or None after the timeout."""
        codes = np.empty(self.size, np.int32)
        request = self._end.Iallgather(np.array([code], np.int32), codes)
        return tuple(codes.tolist()) if _wait(request, timeout_s) else None

    def abort(self, code: int) -> NoReturn:
        """End all ranks at once."""
        sys.stdout.flush()
        sys.stderr.flush()
        # The reason has been reported. MPI would only add that it was called, such as
        # "Abort(85) on node 0"; MPICH has no setting against it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        MPI.COMM_WORLD.Abort(code)
        os._exit(code)  # a library that returns from Abort must not keep this rank alive


def _initialise() -> None:
    # Called without Python's lock, which mpi4py keeps: a thread must be able to end a rank that
    # waits here for ever. Only the main thread calls MPI; a higher level costs a lock per call.
    provided = ctypes.c_int()
    call = _library().MPI_Init_thread
    call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    code = call(None, None, MPI.THREAD_FUNNELED, ctypes.byref(provided))
    if code != MPI.SUCCESS:
        raise RuntimeError(f"MPI does not start: {MPI.Get_error_string(code)}")
    for communicator in (MPI.COMM_WORLD, MPI.COMM_SELF):  # as mpi4py does
        communicator.Set_errhandler(MPI.ERRORS_RETURN)


def _bytes_of(value: object) -> Bytes:
    return np.frombuffer(MPI.pickle.dumps(value), np.uint8)


def _objects(data: Bytes, sizes: npt.NDArray[np.int64]) -> list[Any]:
    """Return the objects of all ranks, whose bytes are concatenated."""
    return [MPI.pickle.loads(part) for part in np.split(data, np.cumsum(sizes)[:-1])]


def _entry(yields: bool) -> jit.KernelEntry:
    return yielding_entry if yields else blocking_entry


def _group_entry(yields: bool) -> jit.KernelEntry:
    return yielding_group_entry if yields else blocking_group_entry


def _handles(communicator: MPI.Comm) -> MpiHandles:
    return MpiHandles(communicator=MPI._handleof(communicator), datatype=MPI._handleof(MPI.INT32_T))


def _wait(request: MPI.Request, timeout_s: float | None = None) -> bool:
    """Return whether a request completes in time: poll, then yield, then sleep ever longer."""
    begin = time.monotonic()
    polls = 0
    try:
        while not request.Test():
            polls += 1
            if polls < _BUSY_POLLS:
                os.sched_yield()
                continue
            waited = time.monotonic() - begin
            if timeout_s is not None and waited > timeout_s:
                _abandoned.append(request)
                return False
            time.sleep(min(max(_SLEEP_FRACTION * waited, _MIN_SLEEP_S), _MAX_SLEEP_S))
    except BaseException:  # as from a signal: other ranks may still send
        _abandoned.append(request)
        raise
    return True


def _load_symbols() -> None:
    # Compiled code finds MPI's functions by name in the libraries that LLVM has loaded.
    if llvmlite.binding.address_of_symbol("MPI_Allgather") is None:
        llvmlite.binding.load_library_permanently(_library()._name)


@cache
def _library() -> ctypes.CDLL:
    """Return the MPI library that mpi4py has loaded."""
    for path in _mapped_libraries():
        mpi_library = ctypes.CDLL(path)
        if hasattr(mpi_library, "MPI_Allgather"):
            return mpi_library
    raise RuntimeError(f"no mapped library of {MPI.Get_library_version()!r} has MPI_Allgather")


def _mapped_libraries() -> Iterator[str]:
    visited = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5] not in visited and "mpi" in Path(fields[5]).name.lower():
            visited.add(fields[5])
            if ".so" in fields[5] and "cpython" not in fields[5]:
                yield fields[5]
