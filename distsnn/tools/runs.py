"""Start or resume the run of a model on each rank, which is decided under the run's lock."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distsnn.comm import Communicator, collective_phase, world
from distsnn.errors import UsageError
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import checkpoint_after, lost_generation
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.network import Network
from distsnn.partition.graph import Graph
from distsnn.public_api import public_function
from distsnn.simulation import Progress, RunPolicy, RunSummary, Simulation
from distsnn.simulation.checkpoint import same_run
from distsnn.simulation.job import Job
from distsnn.simulation.newest_checkpoint import open_shared_reader
from distsnn.tools.assignments import load_assignment
from distsnn.tools.model_settings import setting_texts
from distsnn.tools.models import check_no_settings, check_not_scripted, load_model
from distsnn.tools.profiles import read_profile
from distsnn.tools.run_paths import path_exists, resume_path
from distsnn.units import to_steps

_LEASE = 120.0  # s


@dataclass(frozen=True)
class FinishedRun:
    """A run that has reached its end.

    Attributes
    ----------
    title : str
        Name of its network, or path of its store.
    summary : RunSummary or None
        Summary of the simulation; None if the run was complete before.
    time_ms : float
        Biological time at its end, ms.
    """

    title: str
    summary: RunSummary | None
    time_ms: float


@dataclass(frozen=True)
class _Request:
    """The part of the arguments of `run_model` that a new and a resumed run use differently."""

    model: str | None
    settings: list[str]
    time: float | None
    seed: int | None
    assignment: str | os.PathLike[str] | None
    communicator: Communicator
    simulation: dict[str, Any]  # keywords of Simulation


@public_function
def run_model(
    model: str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    time: float | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: str | os.PathLike[str] | None = None,
    strategy: str | None = None,
    assignment: str | os.PathLike[str] | None = None,
    rates: str | os.PathLike[str] | None = None,
    rank_speeds: Sequence[float] | None = None,
    quality: str = "fast",
    delivery: str = "auto",
    storage: str = "auto",
    policy: RunPolicy | None = None,
    progress: bool | Progress = False,
    communicator: Communicator | None = None,
) -> FinishedRun:
    """Start or resume the run of a model, and run it to its end. Collective.

    It uses the ranks that started the script. `simulate` starts ranks.

    Parameters
    ----------
    model : str or PathLike, optional
        MODEL of ``distsnn run``: the name of an example, or the path of a Python file, a run or a
        stored network; by default the network of the resumed run.
    settings : mapping, or sequence of str
        Parameters of the model, ``{"scale": 0.1}`` or ``["scale=0.1"]``.
    time : float, optional
        Biological time at which the run ends, ms; by default that of the run that is resumed, or
        that `model` names.
    seed : int, optional
        Seed of all random numbers; by default the model's own, or that of the resumed run.
    out : str or PathLike, optional
        Run store to record to.
    overwrite : bool
        Whether to replace a run at `out`.
    resume : str or PathLike, optional
        Store of a run to continue from its newest checkpoint; ``"auto"``: continue the run at
        `out`, start it if it does not exist, and do nothing if it is complete.
    strategy : str, optional
        Partition strategy: ``"round_robin"``, ``"contiguous"``, ``"population"`` or ``"graph"``; by
        default round robin, or that of the resumed run.
    assignment : str or PathLike, optional
        File of an assignment, in place of a strategy.
    rates : str or PathLike, optional
        For ``"graph"``: file of a profile, or a run.
    rank_speeds : sequence of float, optional
        For ``"graph"``: relative speed of each rank.
    quality : {"fast", "best"}
        For ``"graph"``: quality of the partition.
    delivery, storage : str
        As in `Simulation`.
    policy : RunPolicy, optional
        Rules for writing checkpoints and for stopping.
    progress : bool or Progress
        Whether and how progress is shown (by rank 0).
    communicator : Communicator, optional
        The ranks; by default all that the launcher started.

    Returns
    -------
    FinishedRun
        Title, summary and time of the run.

    Raises
    ------
    DescriptionError
        If an argument is not valid, or the network cannot be built.
    UsageError
        If arguments are missing or unknown, or exclude each other, or the time is not valid.
    StoreError
        If the run cannot be read, locked or written.
    Stopped, Interrupted
        If the run was stopped before its end.

    Examples
    --------
    >>> run = run_model(  # doctest: +SKIP
    ...     "microcircuit", settings={"scale": 0.1}, time=1000.0, out="run.zarr", resume="auto",
    ...     policy=RunPolicy(checkpoint_every=500.0),
    ... )
    >>> run.time_ms  # doctest: +SKIP
    1000.0
    """
    communicator = communicator or world()
    job = Job()
    with collective_phase(communicator, "reading rates"):
        partition = _partition(strategy, assignment, rates, rank_speeds, quality)
    request = _Request(
        model=None if model is None else os.fspath(model),
        settings=setting_texts(settings),
        time=time,
        seed=seed,
        assignment=assignment,
        communicator=communicator,
        simulation={
            "out": out,
            "overwrite": overwrite,
            "partition": partition,
            "delivery": delivery,
            "storage": storage,
            "progress": progress,
            "communicator": communicator,
            "policy": policy,
        },
    )
    with ExitStack() as held:
        store = None
        with collective_phase(communicator, "looking for a run"):
            if communicator.rank == 0 and resume is not None:
                # locked before the store is read: another job may be about to change it
                store = resume_path(out, resume, overwrite=overwrite)
                lock = RunLock(store, _patience())
                held.callback(lock.release)
                job = Job(lock=lock)
                store = store if resume != "auto" or path_exists(store) else None
        store = communicator.bcast(store)
        if store is None:
            return _start(request, job)
        reader = open_shared_reader(Path(store), communicator)
        with collective_phase(communicator, "looking for a run"):
            resumes = communicator.rank == 0 and _resumes(reader, resume)
        if communicator.bcast(resumes):
            return _resume(reader, request, job)
        return _start(request, job, reader)


def _start(request: _Request, job: Job, left: StoreReader | None = None) -> FinishedRun:
    """Start a run, in the place of one that is left over, of which nothing was saved."""
    communicator, keywords = request.communicator, request.simulation
    with collective_phase(communicator, "making the network"):
        if request.model is None:
            raise UsageError("the model is missing", where="model")
        model = load_model(request.model, request.settings)
        time_ms = model.time_ms if request.time is None else request.time
        if time_ms is None:
            raise UsageError("the biological time is missing", where="time", hint="set it, ms")
        # an error in the time is raised before the synapses are built
        to_steps(time_ms, model.network.dt, where="time", error=UsageError)
        seed = model.seed if request.seed is None else request.seed
        if left is not None and not same_run(left, model.network, seed):
            raise UsageError(
                "is a run of another network or seed",
                where=f"resume auto, {left.path}",
                hint="choose another path, or set overwrite without resume",
            )
        if request.assignment is not None:
            assignment = load_assignment(request.assignment, model.network, communicator.size)
            keywords["partition"] = assignment
    keywords["partition"] = keywords["partition"] or "round_robin"
    keywords["overwrite"] = keywords["overwrite"] or left is not None
    simulation = Simulation(
        model.network, seed=seed, _job=replace(job, model=model.metadata), **keywords
    )
    return _run(simulation, time_ms, str(model.metadata.get("name", request.model)))


def _partition(
    strategy: str | None,
    assignment: str | os.PathLike[str] | None,
    rates: str | os.PathLike[str] | None,
    rank_speeds: Sequence[float] | None,
    quality: str,
) -> str | Graph | None:
    """Return the partition strategy that the arguments choose, None if they choose none."""
    if assignment is not None and strategy is not None:
        raise UsageError(
            "strategy and assignment exclude each other", where="strategy", value=strategy
        )
    if strategy == "graph":
        profile = read_profile(rates)
        return Graph(profile.rates, rank_speeds, quality=quality, cost=profile.cost_model)
    for name, argument, unset in (
        ("rates", rates, None),
        ("rank_speeds", rank_speeds, None),
        ("quality", quality, "fast"),
    ):
        if argument != unset:
            raise UsageError("is for strategy graph only", where=name, value=argument)
    return strategy


def _patience() -> float:
    # A file server may keep the lock of a node that died, for a lease of some 90 s. SLURM has
    # started this job again elsewhere meanwhile: ended by that, it would be lost.
    restarted = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
    return _LEASE if restarted else 0.0


def _resumes(reader: StoreReader, resume: str | os.PathLike[str] | None) -> bool:
    """Return whether a run continues instead of starting again (on rank 0, with the lock)."""
    if resume != "auto" or reader.complete or generations(reader.path):
        return True
    lost = lost_generation(reader)
    if lost is not None:  # recordings up to there are not replaced unasked
        raise lost
    # where nothing was saved before it was stopped, it starts again
    return False


def _resume(reader: StoreReader, request: _Request, job: Job) -> FinishedRun:
    store, metadata = str(reader.path), reader.metadata
    keywords = request.simulation | {"out": store}
    with collective_phase(request.communicator, "opening the run"):
        if request.model is None:
            check_no_settings(store, request.settings)
        check_not_scripted(reader)
        dt, end_step = reader.dt, int(metadata["target_steps"])
        if request.time is not None:
            end_step = to_steps(request.time, dt, where="time", error=UsageError)
        done = reader.complete and end_step <= reader.complete_step
        if not done:
            _check_end(reader, end_step, request.time)
        if request.seed not in (None, int(metadata["seed"])):
            raise UsageError(
                "a resumed run keeps its seed",
                where="seed",
                value=request.seed,
                allowed=str(metadata["seed"]),
            )
        network = None
        if request.model is not None:
            network = load_model(request.model, request.settings).network
            # one that is not done is compared in detail when it is restored
            if done and not same_run(reader, network, int(metadata["seed"])):
                raise UsageError(
                    "is complete, and of another network",
                    where=f"resume, {store}",
                    hint="choose another path, or set overwrite without resume",
                )
        if not done and request.assignment is not None:
            network = network or Network.from_dict(*reader.network())
            ranks = request.communicator.size
            keywords["partition"] = load_assignment(request.assignment, network, ranks)
    if done:
        return FinishedRun(store, None, reader.complete_step * dt)
    simulation = Simulation.restore(reader, network=network, _job=job, **keywords)
    left = end_step * dt - simulation.time_ms
    title = str(metadata.get("network_source", {}).get("name", store))
    return _run(simulation, max(0.0, round(left, 9)), title)


def _check_end(reader: StoreReader, end_step: int, time_ms: float | None) -> None:
    """Check that a run can continue, and that its end is not before its last checkpoint."""
    if reader.complete and not generations(reader.path):
        if reader.damage is not None:
            raise reader.damage
        raise UsageError(
            f"the run is complete at {reader.complete_step * reader.dt:g} ms and has no "
            "checkpoint: it cannot be extended",
            where=f"resume, {reader.path}",
            allowed="up to that time",
            hint="choose another path, or run it again: overwrite without resume, with "
            "checkpoints (--checkpoint-wall-time or --checkpoint-every)",
        )
    saved = checkpoint_after(reader, end_step)
    if saved is None:
        return
    allowed = f"at least {saved * reader.dt:g} ms"
    if time_ms is None:
        raise UsageError(
            "the biological time is missing",
            where=f"resume, {reader.path}",
            allowed=allowed,
            hint="set `time` (--time MS)",
        )
    raise UsageError(
        "earlier than the last checkpoint", where="time", value=time_ms, allowed=allowed
    )


def _run(simulation: Simulation, time_ms: float, title: str) -> FinishedRun:
    with simulation:
        simulation.run(time_ms)
        summary = simulation.close()
    return FinishedRun(title, summary, simulation.time_ms)
