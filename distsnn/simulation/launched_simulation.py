"""`simulate`: one call, on the ranks of this job or on ranks that it launches."""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from distsnn.comm import EXIT_RESUMABLE, detect_launcher, launch
from distsnn.comm.supervision.heartbeat import start_timeout
from distsnn.errors import DescriptionError, RankError, Stopped, UsageError
from distsnn.extras import extra
from distsnn.io.network_files import load_network, save_network
from distsnn.network import Network
from distsnn.network.blocks import make_blocks
from distsnn.network.model import Model
from distsnn.network.registry import register
from distsnn.network.serialise import user_classes
from distsnn.partition.assignment import Assignment, make_assignment
from distsnn.partition.graph import Graph
from distsnn.public_api import public_function
from distsnn.simulation.build import SimulationSettings
from distsnn.simulation.orchestrator import Simulation
from distsnn.simulation.policy import RunPolicy
from distsnn.simulation.progress import Progress
from distsnn.simulation.run_summary import RunSummary
from distsnn.units import format_count

_REQUEST, _RESULT = "request.pickle", "summary.json"


@public_function
def simulate(
    network: Network,
    time: float,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 1,
    ranks: int | None = None,
    overwrite: bool = False,
    partition: str | Assignment | Graph = "round_robin",
    delivery: str = "auto",
    storage: str = "auto",
    progress: bool | Progress = True,
    policy: RunPolicy | None = None,
    oversubscribe: bool = False,
) -> RunSummary:
    """Simulate a network for some time.

    Under an MPI launcher every rank calls this, and the ranks it finds simulate together.

    Parameters
    ----------
    network : Network
        The network.
    time : float
        Biological time, ms.
    out : str or PathLike, optional
        Path of the run store to record to (a Zarr store); by default nothing is recorded.
    seed : int
        Seed of all random numbers.
    ranks : int, optional
        Launch this many MPI ranks on this machine. By default, and with 1, none are launched.
    overwrite : bool
        Replace a run that is at `out`.
    partition : str, Assignment or Graph
        Partition strategy, assignment or settings of the strategy `graph`.
    delivery : {"auto", "pull", "push"}
        Method of spike delivery.
    storage : {"auto", "packed", "explicit", "procedural"}
        Storage format of synapses.
    progress : bool or Progress
        Whether and how progress is shown.
    policy : RunPolicy, optional
        Rules for writing checkpoints and for stopping; by default none.
    oversubscribe : bool
        Allow `ranks` to be more than 16 for each core of this process.

    Returns
    -------
    RunSummary
        Sizes, speed and rates.

    Raises
    ------
    DescriptionError, UsageError
        If a setting is not valid, the network cannot be built, or `ranks` differs from the ranks
        of this job.
    StoreError
        If `out` exists or cannot be written.
    RankError
        If launched ranks failed; their messages are on standard error.
    """
    job = detect_launcher(os.environ)
    if ranks is not None and (isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1):
        raise UsageError("must be a number of ranks", where="ranks", value=ranks)
    if job is None and ranks is not None and ranks > 1:
        if isinstance(progress, Progress):
            raise UsageError(
                "a Progress object cannot be sent to launched ranks",
                where="progress",
                allowed="True, False",
                hint="start the script under mpiexec",
            )
        SimulationSettings(seed, partition, delivery, storage)
        if isinstance(partition, Graph):
            partition.relative_speeds(ranks)
        elif isinstance(partition, Assignment):
            make_assignment(make_blocks(network), ranks, partition)
        (policy or RunPolicy()).check_has_store(recorded=out is not None)
        request = {
            "time": float(time),
            "out": None if out is None else os.fspath(Path(out).absolute()),
            "seed": seed,
            "overwrite": overwrite,
            "partition": partition,
            "delivery": delivery,
            "storage": storage,
            "progress": bool(progress),
            "policy": policy,
            "classes": pack_classes(network),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
        }
        return _launch(network, ranks, request, oversubscribe)
    if job is not None and ranks is not None and job.size not in (None, ranks):
        raise UsageError(
            f"this job has {format_count(job.size, 'rank')}",
            where="ranks",
            value=ranks,
            allowed=f"{job.size}",
            hint="leave out `ranks`",
        )
    with Simulation(
        network,
        seed=seed,
        out=out,
        overwrite=overwrite,
        partition=partition,
        delivery=delivery,
        storage=storage,
        progress=progress,
        policy=policy,
    ) as simulation:
        simulation.run(time)
        return simulation.close()


def _launch(
    network: Network, ranks: int, request: dict[str, Any], oversubscribe: bool
) -> RunSummary:
    with tempfile.TemporaryDirectory(prefix="distsnn-") as folder:
        write_request(folder, network, request)
        code = launch(
            *(ranks, ["worker", folder]),
            start_timeout_s=start_timeout((request["policy"] or RunPolicy()).heartbeat_timeout),
            oversubscribe=oversubscribe,
        )
        if code == 130:
            raise KeyboardInterrupt
        if code == EXIT_RESUMABLE:
            raise Stopped("a signal or the wall limit", at_ms=0.0, store=request["out"])
        result = Path(folder) / _RESULT
        if code != 0 or not result.exists():
            raise RankError(0, f"the launched ranks ended with exit code {code}")
        return RunSummary(**json.loads(result.read_text(encoding="utf-8")))


def write_request(folder: str, network: Network, request: dict[str, Any]) -> None:
    """Write what `run_request` reads into a folder.

    Parameters
    ----------
    folder : str
        The folder, to which other users have no access.
    network : Network
        The network.
    request : dict
        Keyword arguments of `simulate`, `classes` (of `pack_classes`) and `path` (import path).
    """
    save_network(folder, network)
    (Path(folder) / _REQUEST).write_bytes(pickle.dumps(request))


def is_request(folder: str) -> bool:
    """Return whether a folder holds what `run_request` reads."""
    return (Path(folder) / _REQUEST).is_file()


def run_request(folder: str, rank: int) -> None:
    """Do, as one of the launched ranks, what `simulate` wrote into a folder. Collective.

    Parameters
    ----------
    folder : str
        The folder with the network and the request.
    rank : int
        This rank; rank 0 writes the summary there.
    """
    request = pickle.loads((Path(folder) / _REQUEST).read_bytes())
    # stored descriptions find classes only while these exist
    classes = unpack_classes(request.pop("classes", []), request.pop("path", []))
    network = load_network(folder)
    del classes
    summary = simulate(network, request.pop("time"), **request)
    if rank == 0:
        (Path(folder) / _RESULT).write_text(json.dumps(summary.to_dict()), encoding="utf-8")


def pack_classes(network: Network) -> list[bytes]:
    """Return the user-defined classes of a network as bytes, from which ranks make them again.

    A class that ranks can import is stored by its name. A class of a script, a notebook or a
    function is stored with its code and the objects to which this refers.

    Parameters
    ----------
    network : Network
        The network.

    Returns
    -------
    list of bytes
        A pickle of each class; empty if all classes are distsnn's.

    Raises
    ------
    DescriptionError
        If the code of a class refers to an object that cannot be sent to another process.
    MissingExtraError
        If cloudpickle is not installed.
    """
    classes = user_classes(network)
    if not classes:
        return []
    with extra("mpi"):
        import cloudpickle
    modules = {base.__module__ for kind in classes for base in kind.__mro__} & sys.modules.keys()
    modules -= cloudpickle.list_registry_pickle_by_value()
    with ExitStack() as stack:
        for module in [sys.modules[name] for name in modules if not _is_importable(name)]:
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        return [_pack_class(kind, cloudpickle.dumps) for kind in classes]


def _pack_class(kind: type, dumps: Callable[[type], bytes]) -> bytes:
    _check_kernel(kind)
    try:
        return dumps(kind)
    except Exception as error:  # pickling runs code of any class
        raise DescriptionError(
            f"class {kind.__qualname__} of {kind.__module__} cannot be sent to launched ranks: "
            f"{error}",
            where="ranks",
            hint="define the class in a module that can be imported, or start the script under "
            "mpiexec",
        ) from error


def _check_kernel(kind: type) -> None:
    """Raise DescriptionError if ranks cannot import the kernel that a class names."""
    kernel = getattr(kind, "kernel", "")
    if kernel and not _is_importable(kernel):
        raise DescriptionError(
            f"class {kind.__qualname__} has its kernel in {kernel}, which launched ranks cannot "
            "import",
            where="ranks",
            hint="put the kernel into a module file",
        )


def unpack_classes(packed: Sequence[bytes], path: Sequence[str]) -> list[type]:
    """Make the classes of `pack_classes`, and make models among them known by their names.

    Parameters
    ----------
    packed : sequence of bytes
        The classes.
    path : sequence of str
        Import path of the process that packed them.
    """
    if not packed:
        return []
    # as in the process that launched the ranks: modules that these modules import, too
    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    classes: list[type] = [pickle.loads(one_class) for one_class in packed]
    for kind in classes:
        if issubclass(kind, Model):
            register(kind)
    return classes


def _is_importable(name: str) -> bool:
    """Return whether another process with this import path finds a module of this name."""
    if name == "__main__":
        return False
    parent = name.rpartition(".")[0]
    if parent and not _is_importable(parent):
        return False
    folders = import_module(parent).__path__ if parent else None
    return any(
        finder.find_spec(name, folders) is not None
        for finder in sys.meta_path
        if hasattr(finder, "find_spec")
    )
