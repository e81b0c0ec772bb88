"""The one orchestrator: it builds, drives the engine piece by piece, records and reports."""

import os
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, agree, together, world
from distsnn.comm.heartbeat import DEFAULT_LIMIT_S, Heartbeat
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.notices import notices_folder
from distsnn.io.run_writer import check_target
from distsnn.jit import any_compiled
from distsnn.network import Network
from distsnn.partition.assignment import Assignment
from distsnn.simulation.build import Settings, build
from distsnn.simulation.clock import TickClock, peak_rss_bytes, split_wait
from distsnn.simulation.interrupts import Interrupts
from distsnn.simulation.progress import Progress
from distsnn.simulation.recorder import Recorder
from distsnn.units import steps

# Wall time between two returns to Python for recordings, progress, signals and errors: short enough
# for a person, long enough to cost nothing (a return takes some 0.1 ms). The first piece is short.
_LEAST_PIECE_S, _MOST_PIECE_S = 0.02, 0.1
_FIRST_PIECE_STEPS = 50

_LAST_STEP = 2**31 - 1
_RUNNING, _INTERRUPTED, _FAILED = 0, 1, 2


@dataclass(frozen=True)
class Summary:
    """What a run was, in numbers.

    Attributes
    ----------
    path : str or None
        The run's store.
    neurons, synapses, ranks : int
        Sizes.
    time_ms : float
        Biological time, ms.
    build_s, run_s : float
        Wall time of building and of running, s.
    real_time_factor : float
        Wall time per biological time while running.
    spikes : int
        Spikes of recorded neurons.
    rates : dict of str to float
        Mean rate of each population's recorded neurons, spikes/s; None where none is recorded.
    peak_rss_bytes : list of int
        Largest resident memory of each rank.
    """

    path: str | None
    neurons: int
    synapses: int
    ranks: int
    time_ms: float
    build_s: float
    run_s: float
    real_time_factor: float
    spikes: int
    rates: dict[str, float | None]
    peak_rss_bytes: list[int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


class Simulation:
    """A network on all ranks, ready to run, in as many pieces as wanted.

    Every rank of the job makes the same simulation and calls the same methods.

    Parameters
    ----------
    network : Network
        The network.
    seed : int
        Seed of all random numbers.
    out : str or PathLike, optional
        Where the run is recorded (a Zarr store); nothing is recorded without.
    overwrite : bool
        Replace a run that is at `out`.
    partition : str or Assignment
        How blocks of neurons are assigned to ranks.
    delivery : {"auto", "pull", "push"}
        How spikes are delivered.
    storage : {"auto", "packed", "explicit", "procedural"}
        How synapses are stored.
    progress : bool or Progress
        Whether and how progress is shown (by rank 0).
    communicator : Communicator, optional
        The ranks; by default all that the launcher started.
    heartbeat : float
        The job is ended if a rank is not heard of for so long, s; inf: never.
    model : dict, optional
        Where the network came from, for the run's metadata.

    Raises
    ------
    DescriptionError
        If a setting is not valid or the network cannot be built.
    StoreError
        If `out` exists or cannot be written.

    Examples
    --------
    >>> with Simulation(network, seed=7, out="run.zarr") as simulation:  # doctest: +SKIP
    ...     simulation.run(500.0)
    ...     simulation.run(500.0)  # the same as one run of 1000 ms
    """

    def __init__(
        self,
        network: Network,
        *,
        seed: int = 1,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        partition: str | Assignment = "round_robin",
        delivery: str = "auto",
        storage: str = "auto",
        progress: bool | Progress = False,
        communicator: Communicator | None = None,
        heartbeat: float = DEFAULT_LIMIT_S,
        model: dict[str, Any] | None = None,
    ) -> None:
        begin = time.perf_counter()
        self.network = network
        self._communicator = communicator or world()
        rank = self._communicator.rank
        self._progress = progress if isinstance(progress, Progress) else None
        if progress is True:
            self._progress = Progress()
        if rank != 0:
            self._progress = None
        with together(self._communicator, "checking the settings"):
            self.settings = Settings(seed, partition, delivery, storage)
            self._heartbeat = Heartbeat(self._communicator, heartbeat)
            if out is not None and rank == 0:
                # A mistake in the path is better told before the synapses are built.
                check_target(out, overwrite=overwrite)
        if self._progress is not None:
            ranks = f"{self.ranks} rank" + "s" * (self.ranks > 1)
            first = "" if any_compiled() else "; compiling kernels first, once for this version"
            self._progress.note(f"building {network.n_neurons:,} neurons on {ranks}{first}")
        self._interrupts = Interrupts()
        self._heartbeat.start()
        try:
            with self._interrupts.acting():
                self._built = build(network, self.settings, self._communicator)
        except BaseException as error:
            if self._progress is not None:
                self._progress.drop()
            self._heartbeat.stop(error)
            raise
        self._engine = self._built.engine
        self._recorder: Recorder | None = None
        if out is not None:
            try:
                self._recorder = Recorder(
                    out,
                    overwrite=overwrite,
                    network=network,
                    settings=self.settings,
                    built=self._built,
                    communicator=self._communicator,
                    model=model,
                )
            except BaseException as error:
                self._heartbeat.stop(error)
                raise
            self._heartbeat.notices = notices_folder(out, 0)
        self._counts = np.zeros(len(network.populations), np.int64)
        self._first_gids = np.array([*network.first_gid.values()], np.uint32)
        self._clock = TickClock()
        self._recording_s = 0.0
        self._piece = min(_FIRST_PIECE_STEPS, self._engine.most_steps)
        self._run_s = 0.0
        self._closed = False
        # the slowest rank's, as it is what the user waits for
        self._build_s = max(self._communicator.allgather(time.perf_counter() - begin))

    @property
    def time_ms(self) -> float:
        """Biological time simulated so far, ms."""
        return self._engine.step * self.network.dt

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self._communicator.size

    def run(self, time_ms: float) -> None:
        """Simulate some more time. Collective.

        Parameters
        ----------
        time_ms : float
            Biological time, ms, a multiple of dt.

        Raises
        ------
        DescriptionError
            If the time is negative, off the grid or not the same on all ranks, or the simulation
            is closed.
        StoreError
            If a recording cannot be written; all that was committed stays readable.
        KeyboardInterrupt
            After Ctrl-C (or SIGTERM): all ranks stop at the same step, with the store closed.
        """
        with together(self._communicator, "checking the time"):
            if self._closed:
                raise DescriptionError("the simulation is closed", where="run")
            n_steps = steps(time_ms, self.network.dt, where="run, time")
            if n_steps < 0:
                raise DescriptionError("time must not be negative", where="run", value=time_ms)
        extremes = self._communicator.allreduce_max(np.array([n_steps, -n_steps]))
        begin, end = time.perf_counter(), self._engine.step + n_steps
        with together(self._communicator, "noting the time"):
            if extremes[0] != -extremes[1]:
                raise DescriptionError(
                    "ranks were asked for different times", where="run", value=time_ms
                )
            if end > _LAST_STEP:
                raise DescriptionError(
                    "steps are counted in 31 bits",
                    where="run, time",
                    value=time_ms,
                    allowed=f"up to {_LAST_STEP * self.network.dt:g} ms in all",
                )
            self._update(time_ms=end * self.network.dt, n_steps=end)
        if self._progress is not None:
            self._progress.start(self.time_ms, end * self.network.dt)
        try:
            with self._interrupts.noted():
                while self._engine.step < end:
                    self._advance(min(self._piece, end - self._engine.step))
                    if self._progress is not None:
                        self._progress.update(self.time_ms)
        except BaseException as error:
            self._run_s += time.perf_counter() - begin
            if self._progress is not None:
                self._progress.stop(self.time_ms)
            self._stop(error)
            raise
        if self._progress is not None:
            self._progress.finish(self.time_ms)
        self._run_s += time.perf_counter() - begin

    def _advance(self, n_steps: int) -> None:
        """Run one piece on all ranks, and stop all together if one has to.

        What `engine.run` itself raises (as when memory runs out) passes through: the other ranks
        wait in the middle of an exchange, where only the end of the job reaches them.
        """
        begin = time.perf_counter()
        self._engine.run(n_steps, self._take)
        self._heartbeat.step = self._engine.step
        failure: Exception | None = None
        if self._recorder is not None:
            now = time.perf_counter()
            self._recorder.drain()
            self._recording_s += time.perf_counter() - now
            failure = self._recorder.failure
        else:
            for probe in self._engine.probes:
                probe.drain()
        state = _RUNNING
        if failure is not None:
            state = _FAILED
        elif self._interrupts.wished:
            state = _INTERRUPTED
        spent_us = round((time.perf_counter() - begin) * 1e6)
        worst, slowest_us = self._communicator.allreduce_max(np.array([state, spent_us])).tolist()
        if worst == _FAILED:
            agree(self._communicator, failure, "running")
        if worst == _INTERRUPTED:
            raise KeyboardInterrupt
        # The same on all ranks, since it follows from what all of them know.
        if n_steps == self._piece and slowest_us < _LEAST_PIECE_S * 1e6:
            self._piece = min(2 * self._piece, self._engine.most_steps)
        elif slowest_us > _MOST_PIECE_S * 1e6:
            self._piece = max(self._piece // 2, 1)

    def _take(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        now = time.perf_counter()
        population = np.searchsorted(self._first_gids, gid, side="right") - 1
        self._counts += np.bincount(population, minlength=self._counts.size)
        if self._recorder is not None:
            self._recorder.spikes(step, gid)
        self._recording_s += time.perf_counter() - now

    def close(self) -> Summary:
        """Commit and close the recordings and return what the run was. Collective.

        Raises
        ------
        StoreError
            If something recorded could not be written.
        """
        timing = self._timing()
        if not self._closed:
            self._closed = True
            with together(self._communicator, "closing the store"):
                self._close_recorder("complete", timing)
            # only now is it known that every rank's recordings are whole
            with together(self._communicator, "closing the store"):
                self._update(complete=True)
        summary = self._summary()
        self._heartbeat.stop()
        return summary

    def _stop(self, error: BaseException) -> None:
        """Close the store after a failure or interruption; nothing here may wait for others."""
        self._heartbeat.stop(error)
        if self._closed:
            return
        self._closed = True
        interrupted = isinstance(error, KeyboardInterrupt)
        status = "stopped: interrupted" if interrupted else f"failed: {error}"
        try:
            self._close_recorder(status, self._own_timing())
        except StoreError as further:
            # as on a full disk; what made the run fail is told, and what is committed stays
            error.add_note(f"and the store could not be closed: {further}")

    def _close_recorder(self, status: str, timing: dict[str, float]) -> None:
        if self._recorder is None:
            return
        if self._recorder.failure is not None:
            # the writer's thread is gone: what it committed stays, and the status says so
            status = f"failed: {self._recorder.failure.what}"
        memory = {
            "peak_rss_bytes": peak_rss_bytes(),
            "synapse_bytes": sum(one.nbytes for one in self._engine.wiring.row_sets),
        }
        self._recorder.close(status, timing=timing, memory=memory)
        self._update(
            wall={
                "build_s": self._build_s,
                "run_s": self._run_s,
                "real_time_factor": self._real_time_factor(),
            }
        )

    def _update(self, **attributes: Any) -> None:
        if self._recorder is not None:
            self._recorder.update(**attributes)

    def _real_time_factor(self) -> float:
        return self._run_s / (self.time_ms * 1e-3) if self.time_ms else 0.0

    def _own_timing(self) -> dict[str, float]:
        spent = {phase: self._clock.seconds(ticks) for phase, ticks in self._engine.spent().items()}
        spent["record"] += self._recording_s
        return {"build": self._build_s, **spent, "wait": 0.0, "total": self._run_s}

    def _timing(self) -> dict[str, float]:
        own = self._own_timing()
        waits = split_wait(self._communicator.allgather(own["exchange"]))
        wait = waits[self._communicator.rank]
        return own | {"wait": wait, "exchange": own["exchange"] - wait}

    def _summary(self) -> Summary:
        counts = np.sum(self._communicator.allgather(self._counts), axis=0)
        seconds = self.time_ms * 1e-3
        recorded = self._engine.recorded_neurons()
        rates: dict[str, float | None] = {}
        for one, count in zip(self.network.populations, counts.tolist(), strict=True):
            neurons = recorded[one.name]
            rates[one.name] = count / neurons / seconds if neurons and seconds else None
        return Summary(
            path=self._recorder.path if self._recorder is not None else None,
            neurons=self.network.n_neurons,
            synapses=self._built.synapses,
            ranks=self.ranks,
            time_ms=self.time_ms,
            build_s=self._build_s,
            run_s=self._run_s,
            real_time_factor=self._real_time_factor(),
            spikes=int(counts.sum()),
            rates=rates,
            peak_rss_bytes=self._communicator.allgather(peak_rss_bytes()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._stop(error)
