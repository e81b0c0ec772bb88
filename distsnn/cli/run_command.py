"""``distsnn run``: simulate a model on the ranks of this job, or on ranks started for it."""

import os
import shlex
import sys
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from distsnn.cli.assignments import load_assignment
from distsnn.cli.models import check_no_settings, check_unscripted, load_model
from distsnn.cli.rates import load_cost, load_rates
from distsnn.cli.tables import run_lines
from distsnn.comm import SAID, Communicator, Verdict, launch, launcher, together
from distsnn.comm.heartbeat import DEFAULT_LIMIT_S, start_limit
from distsnn.errors import DescriptionError, Interrupted, Stopped, StoreError
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import lost_generation, saved_beyond
from distsnn.io.nodes import open_root, store_errors
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.io.run_writer import check_target, same_path
from distsnn.network import Network
from distsnn.partition.graph import Graph
from distsnn.simulation import Policy, Simulation
from distsnn.simulation.checkpoint import same_run
from distsnn.simulation.newest_checkpoint import read_together
from distsnn.simulation.progress import TERMINAL_VARIABLE
from distsnn.units import counted, steps

_LEASE = 120.0  # s


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command on this rank. Collective."""
    if options.ranks is not None and options.ranks != communicator.size:
        if launcher() is not None:
            raise DescriptionError(
                f"this job has {counted(communicator.size, 'rank')}",
                where="--ranks",
                value=options.ranks,
                allowed=f"{communicator.size}, or leave it out",
            )
        _check_place(options)
        limit_s = DEFAULT_LIMIT_S if options.heartbeat is None else options.heartbeat
        # Each rank builds the network for itself, from the same command line.
        code = launch(
            options.ranks,
            options.words,
            {TERMINAL_VARIABLE: "1" if sys.stderr.isatty() else "0"},
            start_limit_s=start_limit(limit_s),
            oversubscribe=options.oversubscribe,
            lost=_Result(options).judge,
        )
        return code if code in SAID else 1
    return _simulate(options, communicator)


def _check_place(options: Namespace) -> None:
    """Check the run's path before ranks are started: the first of them checks it under the lock."""
    if options.resume is not None:
        _place(options)
    elif options.out is not None:
        check_target(options.out, overwrite=options.overwrite)


class _Result:
    """The results of launched ranks on disk, for the message about a job that was lost."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        path = options.out if options.resume in (None, "auto") else options.resume
        self._path = None if path is None else Path(path)
        self._before = self._state()

    def judge(self, verdict: Verdict) -> Verdict:
        """Return the verdict on a lost job with what became of its results; 0 if all are there."""
        if self._path is None:
            return verdict
        message, path = verdict.message, self._path
        now = self._state()
        if now is None:
            return replace(verdict, message=f"{message}; nothing was recorded")
        try:
            reader = StoreReader(path, resuming=True)
            saved = generations(path)
        except StoreError as error:
            return replace(verdict, message=f"{message}; the run cannot be read: {error}")
        if now == self._before and (reader.complete or self._options.overwrite):
            return replace(verdict, message=f"{message}; {path} is unchanged")
        if reader.complete:
            time_ms = reader.complete_step * reader.dt
            return Verdict(0, f"{message}; {path} is complete: {time_ms:g} ms")
        if saved:
            then = f"saved, continue with: {_continuing(self._options)}"
        else:
            then = "it was never saved, and must be started again"
        return replace(verdict, message=f"{message}; {path} is not complete; {then}")

    def _state(self) -> tuple[int, int] | None:
        # Completion is written last, into this file.
        try:
            status = (self._path / "zarr.json").stat() if self._path is not None else None
        except OSError:
            return None
        return None if status is None else (status.st_ino, status.st_mtime_ns)


def _simulate(options: Namespace, communicator: Communicator) -> int:
    policy = Policy(
        options.checkpoint_every, options.checkpoint_wall, options.wall_limit, options.max_rate
    )
    with together(communicator, "reading rates"):
        partition = _partition(options)
    common: dict[str, Any] = {
        "partition": partition,
        "delivery": options.delivery,
        "storage": options.storage,
        "progress": not options.quiet,
        "communicator": communicator,
        "policy": policy,
    }
    if options.heartbeat is not None:
        common["heartbeat"] = options.heartbeat
    with ExitStack() as held:
        store = None
        with together(communicator, "looking for a run"):
            if communicator.rank == 0 and options.resume is not None:
                # before anything is decided by what is there: another job may be about to change it
                common["lock"] = RunLock(_place(options), _patience())
                held.callback(common["lock"].release)
                store = _to_resume(options)
        store = communicator.bcast(store)
        if store is not None:
            return _resume(store, options, communicator, common)
        return _start(options, communicator, common)


def _start(options: Namespace, communicator: Communicator, common: dict[str, Any]) -> int:
    with together(communicator, "making the network"):
        model = load_model(options.model, options.set)
        time_ms = model.time_ms if options.time is None else options.time
        if time_ms is None:
            raise DescriptionError("how long? --time MS is missing", where="distsnn run")
        # a mistake in the time is better told before the synapses are built
        steps(time_ms, model.network.dt, where="--time")
        seed = model.seed if options.seed is None else options.seed
        # rank 0 makes the store
        again = communicator.rank == 0 and _is_left_over(options, model.network, seed)
        if options.assignment is not None:
            made = load_assignment(options.assignment, model.network, communicator.size)
            common["partition"] = made
    common["partition"] = common["partition"] or "round_robin"
    simulation = Simulation(
        model.network,
        seed=seed,
        out=options.out,
        overwrite=options.overwrite or again,
        model=model.about,
        **common,
    )
    title = str(model.about.get("name", options.model))
    return _run(simulation, time_ms, title, options, communicator)


def _partition(options: Namespace) -> str | Graph | None:
    """Return the strategy that is asked for, None if none is."""
    if options.assignment is not None and options.partition is not None:
        raise DescriptionError(
            "either --partition or --assignment", where="--partition", value=options.partition
        )
    if options.partition == "graph":
        rates, cost = load_rates(options.rates), load_cost(options.rates)
        return Graph(rates, options.shares, quality=options.quality, cost=cost)
    for name, unset in (("rates", None), ("shares", None), ("quality", "fast")):
        given = getattr(options, name)
        if given != unset:
            raise DescriptionError("is for --partition graph", where=f"--{name}", value=given)
    return None if options.partition is None else str(options.partition)


def _patience() -> float:
    # A file server may keep the lock of a node that died, for a lease of some 90 s. SLURM has
    # started this job again elsewhere meanwhile: ended by that, it would be lost.
    restarted = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
    return _LEASE if restarted else 0.0


def _place(options: Namespace) -> str:
    """Return where the run is, or is to be, that --resume asks for."""
    if options.overwrite:
        raise DescriptionError("either go on or --overwrite", where="--resume")
    if options.resume == "auto":
        if options.out is None:
            raise DescriptionError("needs --out, the run to look for", where="--resume auto")
        # a mistake in the path is told in the same words as where nothing is resumed
        if not _is_there(options.out):
            check_target(options.out)
        return str(options.out)
    if options.out is not None and not same_path(options.out, options.resume):
        raise DescriptionError(
            "a resumed run is recorded where it was", where="--out", value=options.out
        )
    open_root(Path(options.resume))  # or a lock, and folders for it, are made where no run is
    return str(options.resume)


def _is_there(path: str) -> bool:
    with store_errors(path, "cannot be read"):
        return Path(path).exists()


def _to_resume(options: Namespace) -> str | None:
    """Return the run to go on with, or None to start one (on rank 0, with the lock)."""
    if options.resume != "auto":
        return str(options.resume)
    if not _is_there(options.out):
        return None
    reader = StoreReader(options.out, resuming=True)
    if reader.complete or generations(reader.path):
        return str(options.out)
    lost = lost_generation(reader)
    if lost is not None:  # recordings up to there are not replaced unasked
        raise lost
    # where nothing was saved before it was stopped, it starts again
    return None


def _is_left_over(options: Namespace, network: Network, seed: int) -> bool:
    """Return whether --resume auto finds a run of this network of which nothing was saved."""
    if options.resume != "auto" or not Path(options.out).exists():
        return False
    if not same_run(StoreReader(options.out, resuming=True), network, seed):
        raise DescriptionError(
            "is a run of another network or seed",
            where=f"--resume auto, {options.out}",
            allowed="another path, or --overwrite without --resume",
        )
    return True


def _resume(
    store: str, options: Namespace, communicator: Communicator, common: dict[str, Any]
) -> int:
    reader = read_together(Path(store), communicator)
    with together(communicator, "opening the run"):
        if options.model is None:
            check_no_settings(store, options.set)
        check_unscripted(reader)
        about = reader.metadata
        dt, asked = reader.dt, int(about["n_steps"])
        if options.time is not None:
            asked = steps(options.time, dt, where="--time")
        done = reader.complete and asked <= reader.complete_step
        if not done:
            _check_asked(reader, asked, options)
        if options.seed not in (None, int(about["seed"])):
            raise DescriptionError(
                "a resumed run keeps its seed",
                where="--seed",
                value=options.seed,
                allowed=str(about["seed"]),
            )
        network = None
        if options.model is not None:
            network = load_model(options.model, options.set).network
            # one that is not done is compared in detail when it is restored
            if done and not same_run(reader, network, int(about["seed"])):
                raise DescriptionError(
                    "is complete, and of another network",
                    where=f"--resume, {store}",
                    allowed="another path, or --overwrite without --resume",
                )
        if not done and options.assignment is not None:
            network = network or Network.from_dict(*reader.network())
            common["partition"] = load_assignment(options.assignment, network, communicator.size)
    if done:
        if communicator.rank == 0 and not options.quiet:
            print(f"{store} is complete: {reader.complete_step * dt:g} ms")
        return 0
    simulation = Simulation.restore(store, network=network, out=store, **common)
    left = asked * dt - simulation.time_ms
    title = str(about.get("model", {}).get("name", store))
    return _run(simulation, max(0.0, round(left, 9)), title, options, communicator)


def _check_asked(reader: StoreReader, asked: int, options: Namespace) -> None:
    """Check that a run can go on, and is to last as long as it was saved at least."""
    if reader.complete and not generations(reader.path) and reader.damage is not None:
        raise reader.damage
    if reader.complete and not generations(reader.path):
        raise DescriptionError(
            f"is complete at {reader.complete_step * reader.dt:g} ms and was never saved: "
            "it cannot go on",
            where=f"--resume, {reader.path}",
            allowed="up to that time; another path; or --overwrite without --resume, to run it "
            "from the start with --checkpoint-wall or --checkpoint-every",
        )
    saved = saved_beyond(reader, asked)
    if saved is not None:
        raise DescriptionError(
            "the run was saved at a later time: it cannot end before"
            if options.time is not None
            else "how long is the run to be? --time MS is missing",
            where="--time" if options.time is not None else f"--resume, {reader.path}",
            value=options.time,
            allowed=f"{saved * reader.dt:g} ms, which it has reached, or more",
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
            error.command = _continuing(options)
        raise
    if communicator.rank == 0 and not options.quiet:
        print("\n".join(run_lines(title, summary)))
    return 0


def _continuing(options: Namespace) -> str:
    """Return the command that continues a run of these options, which was saved."""
    words = [word for word in options.words if word != "--overwrite"]
    resume = [] if options.resume is not None else ["--resume", options.out]
    return shlex.join(["distsnn", *words, *resume])
