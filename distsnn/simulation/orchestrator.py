"""The orchestrator: builds a simulation or restores it, and runs, saves, resets and closes it."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np

from distsnn.comm import (
    Communicator,
    collective_phase,
    require_equal_int,
    world,
)
from distsnn.comm.supervision.heartbeat import Heartbeat
from distsnn.comm.supervision.job_exit import print_message
from distsnn.errors import (
    Interrupted,
    SimulationStateError,
    Stopped,
    StoreError,
    UsageError,
    unknown_name_error,
)
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.exit_reports import exit_reports_folder
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import check_output_path, same_path
from distsnn.kernel_cache import any_compiled
from distsnn.network import Network, Population, PopulationView, Projection, Stimulus
from distsnn.partition.assignment import Assignment
from distsnn.partition.graph import Graph
from distsnn.public_api import public_function
from distsnn.simulation.access import Access
from distsnn.simulation.build import BuildResult, SimulationSettings, build, check_ranks, restart
from distsnn.simulation.checkpoint import CheckpointManager, locked_state_store
from distsnn.simulation.handles import Handle, PopulationHandle, StimulusHandle, handle
from distsnn.simulation.job import Job, partition_for_resume
from distsnn.simulation.newest_checkpoint import open_shared_reader, open_start
from distsnn.simulation.phase_timer import PhaseTimer
from distsnn.simulation.policy import RunPolicy
from distsnn.simulation.progress import Progress, make_progress
from distsnn.simulation.projection_handle import ProjectionHandle
from distsnn.simulation.recorder import Recorder, versions
from distsnn.simulation.recording_access import Recordings
from distsnn.simulation.run_loop import RunLoop
from distsnn.simulation.run_summary import RunCounters, RunSummary, count, summarize
from distsnn.simulation.script_changes import ScriptChanges, changed_parts
from distsnn.simulation.segments import SegmentScheduler, end_step
from distsnn.simulation.signal_handling import SignalHandler
from distsnn.simulation.spike_counts import RateLimit
from distsnn.simulation.spike_output import SpikeOutput, end_status
from distsnn.simulation.static_weights import reserve_set_weights
from distsnn.simulation.stimulus_control import StimulusControl
from distsnn.units import format_count

# Added to the number by which ranks compare what they ask of a reset.
_KEEPS_WEIGHTS = 2


class Simulation:
    """A network on all ranks, ready for any number of run calls.

    Every rank of the job creates the same simulation and calls the same methods.

    Parameters
    ----------
    network : Network
        The network.
    seed : int
        Seed of all random numbers.
    ranks : int, optional
        Number of ranks that the job must have. A simulation starts no ranks: `simulate` does.
    out : str or PathLike, optional
        Path of the run store to record to (a Zarr store); by default nothing is recorded.
    overwrite : bool
        Replace the run at `out`.
    partition : str, Assignment or Graph
        Partition strategy, assignment or settings of the strategy `graph`.
    delivery : {"auto", "pull", "push"}
        Method of spike delivery.
    storage : {"auto", "packed", "explicit", "procedural"}
        Storage format of synapses.
    progress : bool or Progress
        Show progress (on rank 0), or an object that shows it.
    communicator : Communicator, optional
        The ranks; by default all ranks of the job.
    policy : RunPolicy, optional
        Rules for writing checkpoints and for stopping; by default none.

    Raises
    ------
    DescriptionError
        If a setting is not valid, or the network cannot be built.
    StoreError
        If `out` exists or cannot be written.

    Examples
    --------
    >>> with Simulation(network, seed=7, out="run.zarr") as simulation:  # doctest: +SKIP
    ...     simulation.run(500.0)
    ...     simulation["E"].state["V_m"] = -60.0
    ...     simulation.run(500.0)
    """

    @public_function
    def __init__(
        self,
        network: Network,
        *,
        seed: int = 1,
        ranks: int | None = None,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        partition: str | Assignment | Graph = "round_robin",
        delivery: str = "auto",
        storage: str = "auto",
        progress: bool | Progress = False,
        communicator: Communicator | None = None,
        policy: RunPolicy | None = None,
        _job: Job | None = None,  # of `restore` and of the command line
    ) -> None:
        self._job = _job or Job()
        begin, start = time.perf_counter(), self._job.start
        self.network = network
        self._communicator = communicator or world()
        rank = self._communicator.rank
        self._progress = make_progress(progress) if rank == 0 else None
        same_store = same_path(out, start.path if isinstance(start, StoreReader) else start)
        self._between, self._scripted = ExitStack(), ScriptChanges()
        with collective_phase(self._communicator, "checking the settings"):
            check_ranks(ranks, self.ranks)
            self.settings = SimulationSettings(seed, partition, delivery, storage)
            self._policy = policy or RunPolicy()
            self._heartbeat = Heartbeat(self._communicator, self._policy.heartbeat_timeout)
            self._policy.checkpoint_steps(network.dt)
            self._policy.check_has_store(recorded=out is not None)
        self._output = SpikeOutput(network, self._communicator)
        self._recordings = Recordings(network, self._communicator)
        require_equal_int(
            self._communicator, lambda: out is not None, "checking the settings", where="out"
        )
        if out is not None:
            self._output.lock(out, overwrite=overwrite, resume=same_store, held=self._job.lock)
        self._heartbeat.start()
        with self._ending_on_error():
            resumed = self._build(start, out if same_store else None)
            self._begin(out, overwrite=overwrite, resumed=resumed)
        # the slowest rank's, as it is what the user waits for
        self._times.build_s = max(self._communicator.allgather(time.perf_counter() - begin))

    @contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if self._progress is not None:
                self._progress.end_line()
            self._heartbeat.stop(error)
            self._output.unlock()
            raise

    def _begin(
        self,
        out: str | os.PathLike[str] | None,
        *,
        overwrite: bool,
        resumed: tuple[StoreReader, int] | None = None,
    ) -> None:
        """Make what a run needs beside its engine, such as the store. Collective."""
        if out is not None:
            self._output.recorder = Recorder(
                out,
                overwrite=overwrite,
                network=self.network,
                settings=self.settings,
                built=self._built,
                communicator=self._communicator,
                model=self._job.model,
                resumed=resumed,
                off=self._recordings.off,
            )
            self._heartbeat.exit_reports = exit_reports_folder(out, self._output.recorder.attempt)
            self._scripted.subscribe(self._output.recorder.record_script_changes)
        engine, communicator, policy = self._engine, self._communicator, self._policy
        self._loop = RunLoop(
            engine,
            communicator,
            scheduler=SegmentScheduler(
                *(policy, self.network.dt, engine.max_undrained_steps, communicator),
                epoch_steps=self._built.epochs.global_steps,
            ),
            rate_limit=RateLimit(self.network, policy.max_rate, communicator, engine.step),
            output=self._output,
            times=self._times,
            interrupts=self._interrupts,
            heartbeat=self._heartbeat,
            progress=self._progress,
        )
        self._closed = False

    @classmethod
    def restore(
        cls,
        store: str | os.PathLike[str] | StoreReader,
        *,
        network: Network | None = None,
        out: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Self:
        """Resume from a store's newest valid checkpoint, on these ranks. Collective.

        Parameters
        ----------
        store : str, PathLike or StoreReader
            A run's store, or what `save` wrote; a reader as in `Job`, field `start`.
        network : Network, optional
            The network, where its models are not distsnn's own; by default the stored one.
        out : str or PathLike, optional
            Store to record to: `store` itself, whose run then continues, or a new store.
        **settings
            As in `Simulation`, without seed. Without `partition`, the
            partition of the run's last start: with the same number of ranks the same assignment,
            else the same strategy.

        Raises
        ------
        StoreError
            If no checkpoint is valid, or the store cannot be read.
        DescriptionError
            If it is of another network, or its partition is for other ranks than these.
        """
        communicator = settings["communicator"] = settings.get("communicator") or world()
        reader = open_shared_reader(store, communicator)
        if settings.get("partition") is None:
            settings["partition"] = partition_for_resume(reader, communicator.size)
        settings["_job"] = replace(settings.get("_job") or Job(), start=store)
        if network is None:
            network = Network.from_dict(*reader.network())
        return cls(network, seed=int(reader.metadata["seed"]), out=out, **settings)

    @classmethod
    def resume(
        cls, store: str | os.PathLike[str], *, network: Network | None = None, **settings: Any
    ) -> Self:
        """Continue a run that is not complete, in its own store. Collective.

        As ``Simulation.restore(store, out=store, ...)``.

        Parameters
        ----------
        store : str or PathLike
            The run's store.
        network : Network, optional
            The network, where its models are not distsnn's own.
        **settings
            As in `restore`.

        Raises
        ------
        StoreError, DescriptionError
            As `restore` does.
        """
        return cls.restore(store, network=network, out=store, **settings)

    def save(self, store: str | os.PathLike[str] | None = None) -> None:
        """Save the state, so that it can be restored on any number of ranks. Collective.

        Parameters
        ----------
        store : str or PathLike, optional
            By default the run's own store; else a store of this network, which is created if
            it does not exist. It contains the last two saved states.

        Raises
        ------
        SimulationStateError, UsageError
            If the simulation is closed; if the run has no store, and none is given.
        StoreError
            If it cannot be written.
        """
        recorder = self._output.recorder
        target = recorder.path if store is None and recorder is not None else store
        with collective_phase(self._communicator, "saving"):
            if self._closed:
                raise SimulationStateError("the simulation is closed", where="save")
            if target is None:
                raise UsageError("the run has no store", where="save", hint="set `store`")
        assert target is not None
        path = Path(target).resolve()
        if recorder is not None and path != Path(recorder.path).resolve():
            recorder = None  # another store
        with ExitStack() as held:
            with collective_phase(self._communicator, "saving"):
                if recorder is not None:
                    recorder.sync_to_disk()
                elif self._communicator.rank == 0:
                    state_store = locked_state_store(
                        *(path, self.network, self.settings, self._built, self._communicator),
                        model=self._job.model,
                        scripted=self._scripted.names,
                    )
                    held.enter_context(state_store)
            number, spent_s = self._checkpoints.save(
                path,
                self._output.counts.global_counts(self._communicator),
                self._times.run_s,
                -1 if recorder is None else recorder.attempt,
                self._scripted.names,
                self._recordings.saved(),
            )
            with collective_phase(self._communicator, "saving"):
                if recorder is not None:
                    recorder.saved(number)
        self._loop.scheduler.note_save(spent_s)

    def _build(
        self,
        start: str | os.PathLike[str] | StoreReader | None,
        same_store: str | os.PathLike[str] | None,
    ) -> tuple[StoreReader, int] | None:
        """Build the network, and restore its saved state.

        Return a reader of the resumed run, if any, and the attempt that saved (-1: none).
        """
        network, seed = self.network, self.settings.seed
        generation: CheckpointReader | None = None
        reader: StoreReader | None = None
        if start is not None:
            generation, reader = open_start(
                *(start, network, seed, self._communicator, partial(self._report, always=True)),
                resumes=same_store is not None,
            )
        neurons, ranks = format_count(network.n_neurons, "neuron"), format_count(self.ranks, "rank")
        first = "" if any_compiled() else "; compiling kernels first, once for this version"
        self._report(f"building {neurons} on {ranks}{first}")
        at_ms = 0.0 if generation is None else int(generation.attributes["step"]) * network.dt
        self._interrupts = SignalHandler(
            at_ms, None if same_store is None else os.fspath(same_store)
        )
        with self._interrupts.immediate():
            self._use(build(network, self.settings, self._communicator))
            self._access = Access(
                *(self._engine, self._communicator, self._scripted),
                *(self._inputs, self._output.last_run, self._recordings),
            )
            self._checkpoints = CheckpointManager(
                network, seed, self._built, self._communicator, versions(self._communicator)
            )
            if generation is not None:
                self._load(generation)
        if reader is None or generation is None:
            return None
        return reader, int(generation.attributes["attempt"])

    def _use(self, built: BuildResult) -> None:
        """Take a network that was built, or taken back to its beginning. Collective."""
        communicator = self._communicator
        self._built, self._engine = built, built.engine
        self._times = PhaseTimer(self._engine, communicator)
        self._inputs = StimulusControl(self._engine, communicator, self._scripted)
        self._recordings.use(self._engine, self._output)

    def _load(self, generation: CheckpointReader) -> None:
        attributes = generation.attributes
        self._scripted.add(*attributes["script_changes"])  # before values are set, in another order
        self._checkpoints.load(generation)
        reserve_set_weights(self._access)
        with collective_phase(self._communicator, "restoring recordings"):
            switched = attributes.get("recordings", {})
            self._recordings.restore(switched, path=str(generation.folder))
        self._output.last_run.discard("a checkpoint does not contain the spikes before it")
        self._times.run_s = float(attributes["run_s"])
        if self._communicator.rank == 0:
            self._output.counts.recorded += np.asarray(
                attributes["recorded_spike_counts"], np.int64
            )
        saved_by = format_count(generation.ranks, "rank")
        self._report(f"going on at {self.time_ms:g} ms, saved by {saved_by}")

    def _report(self, text: str, *, always: bool = False) -> None:
        """Print a message with the progress, or always (on rank 0)."""
        if self._progress is not None:
            self._progress.note(text)
        elif always and self._communicator.rank == 0:
            print_message(text)

    @overload
    def __getitem__(self, key: Population | PopulationView) -> PopulationHandle: ...

    @overload
    def __getitem__(self, key: Projection) -> ProjectionHandle: ...

    @overload
    def __getitem__(self, key: Stimulus) -> StimulusHandle: ...

    @overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: str | Population | PopulationView | Projection | Stimulus) -> Handle:
        """Return the handle of a part of the network, to read and set it between two runs.

        Parameters
        ----------
        key : str, Population, PopulationView, Projection or Stimulus
            The part or its name: ``"E"``, ``E[:50]``, ``"E->I"``. A stimulus must have a name.

        Returns
        -------
        PopulationHandle, ProjectionHandle or StimulusHandle
            The same object each time.

        Raises
        ------
        DescriptionError
            If the part does not exist, or parts of different kinds have this name.
        SimulationStateError
            If the simulation is closed; handles then raise the same error.
        """
        return handle(self._access, key)

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
        DescriptionError, SimulationStateError, UsageError
            If the time is negative, off the grid or not the same on all ranks; after `close`.
        StoreError
            If a recording cannot be written; all that was committed stays readable.
        KeyboardInterrupt
            After Ctrl-C: all ranks stop at the same step, with the store closed.
        Stopped
            The same after SIGTERM or SIGUSR1, with the state saved; also after one that came since
            the last run, in a ``with`` block.
        """
        end = require_equal_int(
            self._communicator, lambda: self._end(time_ms), "checking the time", where="run, time"
        )
        try:
            self._loop.run_until(end, self.save)
        except BaseException as error:
            self._stop(error)
            raise

    def _end(self, time_ms: float) -> int:
        if self._closed:
            raise SimulationStateError("the simulation is closed", where="run")
        return end_step(self._engine.step, time_ms, self.network.dt)

    def close(self) -> RunSummary:
        """Commit and close the recordings and return what the run was. Collective.

        Handles can no longer be used.

        Raises
        ------
        StoreError
            If something recorded could not be written.
        """
        with self._ending_on_error():
            summary = self._complete()
        self._access.close()
        self._heartbeat.stop()
        self._output.unlock()
        return summary

    def _complete(self) -> RunSummary:
        """Commit and close the recordings. Collective."""
        timing = self._times.global_phases()
        if not self._closed:
            self._closed = True
            with collective_phase(self._communicator, "closing the store"):
                self._output.close("complete", self._built, self._times, timing)
            # only now is it known that every rank's recordings are whole
            with collective_phase(self._communicator, "closing the store"):
                self._output.update(complete=True)
        return summarize(
            self._built, self._output, self._times, self._communicator, self._recordings
        )

    def reset(
        self,
        *,
        weights: str = "learnt",
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> RunSummary:
        """Go back to t = 0, as for another trial, and end the recording so far. Collective.

        What a script has set stays: parameters of neurons, rules and synapse models, values of
        stimuli, whether projections learn, and which recordings are on. States, traces and signals
        are as at first, and spikes that were added by `emit` are gone. The network then runs as one
        that was described with these values.

        Parameters
        ----------
        weights : {"learnt", "described"}
            Whether weights stay as they are or start from their described values.
        out : str or PathLike, optional
            Path of a new run store to record to; by default nothing is recorded from now on.
        overwrite : bool
            Replace the run at `out`.

        Returns
        -------
        RunSummary
            Summary of the run that has ended.

        Raises
        ------
        DescriptionError, SimulationStateError, UsageError
            If ranks ask for different things, or an edge file has changed; after `close`.
        StoreError
            If something recorded could not be written, or `out` exists or cannot be written.

        Examples
        --------
        >>> for trial in range(10):  # doctest: +SKIP
        ...     simulation.run(500.0)
        ...     simulation.reset(out=f"trial{trial + 1}.zarr")
        """
        begin, communicator = time.perf_counter(), self._communicator
        new_seed = require_equal_int(
            *(communicator, lambda: self._check_reset(weights, out, overwrite), "checking"),
            where="reset",
        )
        keep, values = new_seed >= _KEEPS_WEIGHTS, self._inputs.set_values
        with self._ending_on_error():
            summary = self._complete()
            self._output.unlock()
            self._output = SpikeOutput(self.network, communicator)
            if out is not None:
                self._output.lock(out, overwrite=overwrite)
            self._scripted.forget()
            self._use(restart(self._built, communicator, keep_weights=keep))
            # the handles that a script has act on these from now on
            self._access.use(self._inputs, self._output.last_run)
            names = [*changed_parts(self._engine, keep), *values, *self._recordings.parts_off]
            with collective_phase(communicator, "setting inputs"):
                self._scripted.add(*names)
                self._inputs.set_again(values)
            reserve_set_weights(self._access)
            self._heartbeat.exit_reports, self._heartbeat.step = None, 0
            self._begin(out, overwrite=overwrite)
        self._times.build_s = max(communicator.allgather(time.perf_counter() - begin))
        return summary

    def _check_reset(
        self, weights: str, out: str | os.PathLike[str] | None, overwrite: bool
    ) -> int:
        """Check what a reset is asked for; return it as a number, the same on all ranks."""
        if self._closed:
            raise SimulationStateError("the simulation is closed", where="reset")
        choices = ("learnt", "described")
        if weights not in choices:
            raise unknown_name_error("choice", str(weights), choices, where="reset, weights")
        self._policy.check_has_store(recorded=out is not None)
        if out is not None and self._communicator.rank == 0:
            check_output_path(out, overwrite=overwrite)
        return _KEEPS_WEIGHTS * (weights == "learnt") + (out is not None)

    def _stop(self, error: BaseException) -> None:
        """Close the store after a failure or interruption; nothing here may wait for others."""
        self._heartbeat.stop(error)
        self._interrupts.answered = True
        self._access.close()
        if self._scripted.names and isinstance(error, Stopped | Interrupted) and error.command:
            # `distsnn run` refuses a run that depends on a script
            error.command = "the script, by Simulation.resume"
        if self._closed:
            self._output.unlock()
            return
        self._closed = True
        try:
            self._output.close(
                end_status(error), self._built, self._times, self._times.local_phases()
            )
        except StoreError as further:
            # for example, a full disk; the first error is raised, and committed data stays
            error.add_note(f"and the store could not be closed: {further}")
        self._output.unlock()

    def counters(self) -> RunCounters:
        """Return counters and times so far, between two run calls. Collective."""
        return count(self._built, self._output, self._times, self._communicator)

    def __enter__(self) -> Self:
        self._between.enter_context(self._interrupts.deferred_between_runs())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._between:
            if error is None:
                self.close()
            else:
                self._stop(error)
