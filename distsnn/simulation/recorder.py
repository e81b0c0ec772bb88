"""Moves what an engine recorded into the run's store."""

import datetime
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import llvmlite
import numba
import numpy as np
import numpy.typing as npt
import zarr

from distsnn.comm import Communicator, collective_phase
from distsnn.engine.plasticity.weight_probes import WeightProbe
from distsnn.engine.probes import StateProbe
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.source_probes import SourceProbe
from distsnn.errors import RecordingError, StoreError
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.row_specs import (
    StateRecordingSpec,
    StateVariable,
    SumRecordingSpec,
    WeightRecordingSpec,
)
from distsnn.io.run_writer import RunWriter
from distsnn.network import Network, PopulationView, RecordSpikes, RecordState
from distsnn.simulation.build import BuildResult, SimulationSettings

# Reading the package's metadata takes a few milliseconds.
_version = cache(version)


def versions(communicator: Communicator) -> dict[str, str]:
    """Return the versions of distsnn and of what it runs on."""
    return {
        "distsnn": _version("distsnn"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "zarr": zarr.__version__,
        "mpi": communicator.library,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def metadata(
    network: Network,
    settings: SimulationSettings,
    built: BuildResult,
    communicator: Communicator,
    model: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the root attributes of a run's store."""
    spikes = [
        recording.target for recording in network.recordings if isinstance(recording, RecordSpikes)
    ]
    states = [recording for recording in network.recordings if isinstance(recording, RecordState)]
    attributes: dict[str, Any] = {
        "dt": network.dt,
        "seed": settings.seed,
        "target_time_ms": 0.0,
        "target_steps": 0,
        "populations": [
            {
                "name": population.name,
                "first_gid": network.first_gid[population.name],
                "size": population.size,
                "model": population.model.name,
                "precision": population.state_type(network.dt),
                "substeps": population.model.parts(network.dt),
                "weight_unit": population.model.weight_unit,
                "units": {name: state.unit for name, state in population.model.states.items()},
            }
            for population in network.populations
        ],
        "recorded_spikes": [
            {"population": view.population, **_neurons_of(view)} for view in spikes
        ],
        "recorded_states": [
            {
                "name": state.name,
                "population": state.target.population,
                **({"projection": state.projection} if state.projection else {}),
                **_neurons_of(state.target),
                "variables": list(state.variables),
                "interval_steps": state.interval_steps(network.dt),
                **({"reduce": state.reduce} if state.reduce else {}),
            }
            for state in states
        ],
        "recorded_weights": [
            {
                "name": probe.recording.name,
                "projection": probe.recording.projection,
                "synapses": probe.total,
                "variables": list(probe.recording.variables),
                "interval_steps": probe.interval_steps,
            }
            for probe in built.engine.weight_probes
        ],
        "quanta": built.quanta.to_dict(),
        "versions": versions(communicator),
        "synapses": built.synapses,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(sys.argv),
        "settings": settings.to_dict() | built.epoch_steps() | _weight_types(network),
    }
    if model is not None:
        attributes["network_source"] = model
    return attributes


def _weight_types(network: Network) -> dict[str, dict[str, str]]:
    """Return the types of plastic weights by projection, if there are any."""
    types = {
        str(projection.name): projection.weight_type
        for projection in network.projections
        if projection.plasticity_rule
    }
    return {"plastic_weights": types} if types else {}


# Maximum age of the requested time in the store, s of wall-clock time: a run of many segments
# changes it every few milliseconds, and each write is a file.
_TELLING_S = 1.0


class Recorder:
    """The store of a run, which rank 0 creates and every rank appends to.

    Docstrings state which methods are collective.

    Parameters
    ----------
    path : str or PathLike
        The store.
    overwrite : bool
        Replace a run that is there.
    network : Network
        The network.
    settings : SimulationSettings
        Settings of the simulation.
    built : BuildResult
        The engine and what goes with it.
    communicator : Communicator
        The ranks; making a recorder is collective.
    model : dict, optional
        Origin of the network.
    resumed : (StoreReader, int), optional
        A reader of the existing run, and the attempt that saved the engine's step (-1: none).
        The run continues in a new attempt; later steps of earlier attempts are superseded.
    off : iterable of str, optional
        Recordings that are switched off.

    Attributes
    ----------
    attempt : int
        The attempt.
    start_step : int
        The step after which it begins.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool,
        network: Network,
        settings: SimulationSettings,
        built: BuildResult,
        communicator: Communicator,
        model: dict[str, Any] | None,
        resumed: tuple[StoreReader, int] | None = None,
        off: Iterable[str] = (),
    ) -> None:
        self.path = os.fspath(path)
        self._communicator, self._engine = communicator, built.engine
        self.start_step = start_step = built.engine.step
        assignment = {
            "strategy": built.assignment.strategy,
            "owner": built.assignment.owner.tolist(),
            "settings": dict(built.assignment.settings),
            "groups": list(built.assignment.groups),
        }
        self._intervals: dict[str, list[list[int | None]]] = {name: [] for name in off}
        self._run: RunWriter | None = None
        self.failure: RecordingError | None = None
        with collective_phase(communicator, "creating the store"):
            if communicator.rank == 0 and resumed is not None:
                reader, saved_by = resumed
                self._run = RunWriter.resume(
                    path,
                    communicator.size,
                    start_step=start_step,
                    saved_by=saved_by,
                    reader=reader,
                    assignment=assignment,
                    versions=versions(communicator),
                )
            elif communicator.rank == 0:
                self._run = RunWriter.create(
                    path,
                    metadata(network, settings, built, communicator, model),
                    network.to_dict(),
                    communicator.size,
                    overwrite=overwrite,
                    start_step=start_step,
                    assignment=assignment,
                )
        self.attempt: int = communicator.bcast(0 if self._run is None else self._run.attempt)
        with collective_phase(communicator, "opening the store"):
            states, weights = state_specs(built.engine), weight_specs(built.engine)
            self._writer = RankWriter(
                path, self.attempt, communicator.rank, state=states, weights=weights
            )
        with collective_phase(communicator, "opening the store"):
            # after all ranks have created theirs: whatever is listed is there
            if self._run is not None:
                rows = (f"{spec.folder}/{spec.name}" for spec in (*states, *weights))
                self._run.update_attempt(recordings=["spikes", *rows])
                if self._intervals:
                    self._run.update_attempt(intervals=self._intervals)
        self._rows = {(spec.folder, spec.name): 0 for spec in (*states, *weights)}
        self._pending_attributes: dict[str, Any] = {}
        self._tell_from = 0.0

    def queue_attributes(self, *, at_once: bool = False, **attributes: Any) -> None:
        """Set attributes of the run (on rank 0), at once or within a second of running.

        A failure is stored until it can be raised on all ranks.
        """
        self._pending_attributes |= attributes
        with self._keeping_failure():
            self._tell(at_once=at_once)

    def record_script_changes(self, names: list[str]) -> None:
        """Take note of what a script has set so far."""
        self.queue_attributes(at_once=True, script_changes=names)

    def _tell(self, *, at_once: bool) -> None:
        if self._run is None or not self._pending_attributes:
            return
        if at_once or time.monotonic() >= self._tell_from:
            self._run.update(**self._pending_attributes)
            self._pending_attributes = {}
            self._tell_from = time.monotonic() + _TELLING_S

    def spikes(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Append recorded spikes; a failure is stored until it can be raised on all ranks."""
        with self._keeping_failure():
            self._writer.append_spikes(step, gid)

    @contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        # Later errors may follow from the first one, which is kept.
        try:
            yield
        except StoreError as error:
            if self.failure is None:
                self.failure = RecordingError(error.problem, path=error.path)
        except Exception as error:  # whatever ended the writer's thread
            if self.failure is None:
                self.failure = RecordingError(f"{type(error).__name__}: {error}", path=self.path)

    def drain(self) -> None:
        """Append new samples, and declare all up to the engine's step appended."""
        for folder, probes in self._engine.probes_by_folder().items():
            for probe in probes:
                assert probe.recording.name is not None
                key, rows = (folder, probe.recording.name), probe.drain()
                n = len(next(iter(rows.values())))
                if n:
                    with self._keeping_failure():
                        self._writer.append_rows(*key, self._rows[key], rows)
                self._rows[key] += n
        with self._keeping_failure():
            self._tell(at_once=False)
            if self.failure is None:  # else rows may be missing
                self._writer.mark_complete(self._engine.step)

    def sync_to_disk(self) -> None:
        """Return when all that was appended is committed and on the disk."""
        with self._raising():
            self._tell(at_once=True)
            self._writer.flush()

    def switch(self, names: Iterable[str], on: bool) -> None:
        """Take note that recordings are on or off from the next step on.

        Rank 0 writes it before any rank continues.
        """
        step = self._engine.step
        for name in names:
            bounds = self._intervals.setdefault(name, [[self.start_step, None]])
            if not on:
                bounds[-1][1] = step
            elif bounds and bounds[-1][1] == step:
                bounds[-1][1] = None  # nothing happened in between
            else:
                bounds.append([step, None])
            if bounds[-1][0] == bounds[-1][1]:
                bounds.pop()
            folder, _, recording = name.partition("/")
            if on and (folder, recording) in self._rows:
                self._writer.begin_rows(folder, recording, step)
        if self._run is not None:
            with self._raising():
                self._run.update_attempt(intervals=self._intervals)

    def saved(self, generation: int) -> None:
        """Note the checkpoint generation that this attempt wrote last (on rank 0)."""
        if self._run is not None:
            with self._raising():
                self._run.update_attempt(saved=generation)

    def update(self, **attributes: Any) -> None:
        """Set attributes of the run (on rank 0)."""
        if self._run is not None:
            with self._raising():
                self._run.update(**attributes)

    def close(self, status: str, **attributes: Any) -> None:
        """Commit everything and set this rank's status; rank 0 notes the last step.

        After a failure, committed data stays, and the status contains the reason.

        Raises
        ------
        RecordingError
            If something recorded could not be written and no failure has been kept.
        """
        if self.failure is not None:
            status = f"failed: {self.failure.problem}"
        with self._raising():
            self._writer.close(status, **attributes)
            self._tell(at_once=True)
            if self._run is not None:
                self._run.update_attempt(last_step=self._engine.step)

    @contextmanager
    def _raising(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise RecordingError(error.problem, path=error.path) from error


def _neurons_of(view: PopulationView) -> dict[str, Any]:
    """Return the neurons of a view as JSON-able data."""
    attributes: dict[str, Any] = {"start": view.start, "stop": view.stop}
    return attributes if view.neurons is None else {**attributes, "neurons": view.neurons.tolist()}


def _offset(offset: npt.NDArray[np.float64]) -> float | npt.NDArray[np.float64]:
    return offset if offset.ndim else float(offset)


def state_specs(engine: RankEngine) -> list[StateRecordingSpec]:
    """Return what a rank's writer must know of its state recordings."""
    specs = list[StateRecordingSpec]()
    for probe in engine.probes_by_folder()["state"]:
        assert not isinstance(probe, WeightProbe)
        recording = probe.recording
        assert recording.name is not None
        variables, dtype = _state_variables(engine, probe)
        shared_fields: dict[str, Any] = {
            "name": recording.name,
            "variables": variables,
            "dtype": dtype,
            "gids": probe.gids,
            "interval_steps": probe.interval_steps,
            "first_step": (engine.step // probe.interval_steps + 1) * probe.interval_steps,
        }
        if recording.reduce:
            specs.append(SumRecordingSpec(n_neurons=recording.target.size, **shared_fields))
        else:
            specs.append(StateRecordingSpec(**shared_fields))
    return specs


def _state_variables(
    engine: RankEngine, probe: StateProbe | SourceProbe
) -> tuple[dict[str, StateVariable], str]:
    """Return the variables of a state recording, and the type of those that have none."""
    recording = probe.recording
    if isinstance(probe, SourceProbe):
        states = probe.model.states
        return {
            name: StateVariable(states[name].unit, states[name].doc) for name in recording.variables
        }, "float64"
    neurons = engine.neurons[recording.target.population]
    readable = neurons.population.model.readable()
    return {
        name: StateVariable(
            unit=readable[name].unit,
            doc=readable[name].doc,
            offset=_offset(probe.offsets.get(name, np.zeros(()))),
            dtype=str(probe.samples[name].dtype) if name in probe.samples else None,
        )
        for name in recording.variables
    }, neurons.real


def weight_specs(engine: RankEngine) -> list[WeightRecordingSpec]:
    """Return what a rank's writer must know of its weight recordings."""
    specs = []
    for probe in engine.weight_probes:
        name, network = probe.recording.name, engine.layout.network
        projection = network.projection(probe.recording.projection)
        model = projection.plasticity_rule
        assert name is not None
        assert model is not None
        unit = network.population(projection.post.population).model.weight_unit
        state_variables = {"weight": StateVariable(unit, "weight")}
        for state, state_spec in model.synapse_states.items():
            of_weights = state_spec.unit == "weight"
            state_variables[state] = StateVariable(
                unit if of_weights else state_spec.unit, state_spec.doc
            )
        specs.append(
            WeightRecordingSpec(
                name=name,
                variables={
                    variable: state_variables[variable] for variable in probe.recording.variables
                },
                dtype=projection.weight_type,
                sources=probe.sources,
                targets=probe.targets,
                delays=probe.delays,
                interval_steps=probe.interval_steps,
                first_step=(engine.step // probe.interval_steps + 1) * probe.interval_steps,
            )
        )
    return specs
