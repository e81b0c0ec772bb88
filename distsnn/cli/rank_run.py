"""Start or resume a run on each rank, for ``distsnn run``."""

import os
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from distsnn.cli.run_paths import path_exists, resume_command, resume_path
from distsnn.cli.tables import run_lines
from distsnn.comm import Communicator, collective_phase
from distsnn.errors import Interrupted, Stopped, UsageError
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import checkpoint_after, lost_generation
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.network import Network
from distsnn.partition.graph import Graph
from distsnn.simulation import RunPolicy, Simulation
from distsnn.simulation.checkpoint import same_run
from distsnn.simulation.job import Job
from distsnn.simulation.newest_checkpoint import open_shared_reader
from distsnn.tools.assignments import load_assignment
from distsnn.tools.models import check_no_settings, check_not_scripted, load_model
from distsnn.tools.profiles import read_profile
from distsnn.units import to_steps

_LEASE = 120.0  # s


def simulate(options: Namespace, communicator: Communicator) -> int:
    """Simulate on this rank, and return the exit code. Collective."""
    policy = RunPolicy(
        checkpoint_every=options.checkpoint_every,
        checkpoint_wall_time=options.checkpoint_wall_time,
        wall_limit=options.wall_limit,
        max_rate=options.max_rate,
        heartbeat_timeout=options.heartbeat_timeout,
    )
    job = Job()
    with collective_phase(communicator, "reading rates"):
        partition = _partition(options)
    common: dict[str, Any] = {
        "partition": partition,
        "delivery": options.delivery,
        "storage": options.storage,
        "progress": not options.quiet,
        "communicator": communicator,
        "policy": policy,
    }
    with ExitStack() as held:
        store = None
        with collective_phase(communicator, "looking for a run"):
            if communicator.rank == 0 and options.resume is not None:
                # locked before the store is read: another job may be about to change it
                store = resume_path(options)
                lock = RunLock(store, _patience())
                held.callback(lock.release)
                job = Job(lock=lock)
                store = store if options.resume != "auto" or path_exists(store) else None
        store = communicator.bcast(store)
        if store is None:
            return _start(options, communicator, common, job)
        reader = open_shared_reader(Path(store), communicator)
        with collective_phase(communicator, "looking for a run"):
            resumes = communicator.rank == 0 and _resumes(reader, options)
        if communicator.bcast(resumes):
            return _resume(reader, options, communicator, common, job)
        return _start(options, communicator, common, job, reader)


def _start(
    options: Namespace,
    communicator: Communicator,
    common: dict[str, Any],
    job: Job,
    left: StoreReader | None = None,
) -> int:
    """Start a run, in the place of one that is left over, of which nothing was saved."""
    with collective_phase(communicator, "making the network"):
        model = load_model(options.model, options.set)
        time_ms = model.time_ms if options.time is None else options.time
        if time_ms is None:
            raise UsageError(
                "the biological time is missing", where="distsnn run", hint="set --time MS"
            )
        # an error in the time is raised before the synapses are built
        to_steps(time_ms, model.network.dt, where="--time")
        seed = model.seed if options.seed is None else options.seed
        if left is not None and not same_run(left, model.network, seed):
            raise UsageError(
                "is a run of another network or seed",
                where=f"--resume auto, {options.out}",
                hint="choose another path, or set --overwrite without --resume",
            )
        if options.assignment is not None:
            assignment = load_assignment(options.assignment, model.network, communicator.size)
            common["partition"] = assignment
    common["partition"] = common["partition"] or "round_robin"
    simulation = Simulation(
        model.network,
        seed=seed,
        out=options.out,
        overwrite=options.overwrite or left is not None,
        _job=replace(job, model=model.metadata),
        **common,
    )
    title = str(model.metadata.get("name", options.model))
    return _run(simulation, time_ms, title, options, communicator)


def _partition(options: Namespace) -> str | Graph | None:
    """Return the strategy that is asked for, None if none is."""
    if options.assignment is not None and options.strategy is not None:
        raise UsageError(
            "--strategy and --assignment exclude each other",
            where="--strategy",
            value=options.strategy,
        )
    if options.strategy == "graph":
        profile = read_profile(options.rates)
        return Graph(
            profile.rates, options.rank_speeds, quality=options.quality, cost=profile.cost_model
        )
    for name, unset in (("rates", None), ("rank_speeds", None), ("quality", "fast")):
        option_value = getattr(options, name)
        if option_value != unset:
            raise UsageError(
                "is for --strategy graph", where=f"--{name.replace('_', '-')}", value=option_value
            )
    return None if options.strategy is None else str(options.strategy)


def _patience() -> float:
    # A file server may keep the lock of a node that died, for a lease of some 90 s. SLURM has
    # started this job again elsewhere meanwhile: ended by that, it would be lost.
    restarted = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
    return _LEASE if restarted else 0.0


def _resumes(reader: StoreReader, options: Namespace) -> bool:
    """Return whether a run continues instead of starting again (on rank 0, with the lock)."""
    if options.resume != "auto" or reader.complete or generations(reader.path):
        return True
    lost = lost_generation(reader)
    if lost is not None:  # recordings up to there are not replaced unasked
        raise lost
    # where nothing was saved before it was stopped, it starts again
    return False


def _resume(
    reader: StoreReader,
    options: Namespace,
    communicator: Communicator,
    common: dict[str, Any],
    job: Job,
) -> int:
    store = str(reader.path)
    with collective_phase(communicator, "opening the run"):
        if options.model is None:
            check_no_settings(store, options.set)
        check_not_scripted(reader)
        metadata = reader.metadata
        dt, end_step = reader.dt, int(metadata["target_steps"])
        if options.time is not None:
            end_step = to_steps(options.time, dt, where="--time")
        done = reader.complete and end_step <= reader.complete_step
        if not done:
            _check_asked(reader, end_step, options)
        if options.seed not in (None, int(metadata["seed"])):
            raise UsageError(
                "a resumed run keeps its seed",
                where="--seed",
                value=options.seed,
                allowed=str(metadata["seed"]),
            )
        network = None
        if options.model is not None:
            network = load_model(options.model, options.set).network
            # one that is not done is compared in detail when it is restored
            if done and not same_run(reader, network, int(metadata["seed"])):
                raise UsageError(
                    "is complete, and of another network",
                    where=f"--resume, {store}",
                    hint="choose another path, or set --overwrite without --resume",
                )
        if not done and options.assignment is not None:
            network = network or Network.from_dict(*reader.network())
            common["partition"] = load_assignment(options.assignment, network, communicator.size)
    if done:
        if communicator.rank == 0 and not options.quiet:
            print(f"{store} is complete: {reader.complete_step * dt:g} ms")
        return 0
    simulation = Simulation.restore(reader, network=network, out=store, _job=job, **common)
    left = end_step * dt - simulation.time_ms
    title = str(metadata.get("network_source", {}).get("name", store))
    return _run(simulation, max(0.0, round(left, 9)), title, options, communicator)


def _check_asked(reader: StoreReader, end_step: int, options: Namespace) -> None:
    """Check that a run can continue, and that its end is not before its last checkpoint."""
    if reader.complete and not generations(reader.path) and reader.damage is not None:
        raise reader.damage
    if reader.complete and not generations(reader.path):
        raise UsageError(
            f"the run is complete at {reader.complete_step * reader.dt:g} ms and has no "
            "checkpoint: it cannot be extended",
            where=f"--resume, {reader.path}",
            allowed="up to that time",
            hint="choose another path, or run it again: --overwrite without --resume, with "
            "--checkpoint-wall-time or --checkpoint-every",
        )
    saved = checkpoint_after(reader, end_step)
    if saved is not None:
        raise UsageError(
            "earlier than the last checkpoint"
            if options.time is not None
            else "the biological time is missing",
            where="--time" if options.time is not None else f"--resume, {reader.path}",
            value=options.time,
            allowed=f"at least {saved * reader.dt:g} ms",
            hint="" if options.time is not None else "set --time MS",
        )


def _run(
    simulation: Simulation,
    time_ms: float,
    title: str,
    options: Namespace,
    communicator: Communicator,
) -> int:
    try:
        with simulation:
            simulation.run(time_ms)
            summary = simulation.close()
    except (Interrupted, Stopped) as error:
        if error.command is not None:
            error.command = resume_command(options)
        raise
    if communicator.rank == 0 and not options.quiet:
        print("\n".join(run_lines(title, summary)))
    return 0
