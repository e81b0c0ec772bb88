"""`simulate`: one call, on the ranks of this job or on ranks that it launches."""

import importlib
import importlib.util
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distsnn.comm import EXIT_RESUMABLE, detect_launcher, launch
from distsnn.comm.supervision.heartbeat import DEFAULT_TIMEOUT_S, start_timeout
from distsnn.errors import DescriptionError, RankError, Stopped
from distsnn.io.network_files import load_network, save_network
from distsnn.network import Network
from distsnn.network.serialise import parts
from distsnn.partition.assignment import Assignment
from distsnn.partition.graph import Graph
from distsnn.simulation.build import Settings
from distsnn.simulation.orchestrator import Simulation
from distsnn.simulation.policy import Policy
from distsnn.simulation.progress import Progress
from distsnn.simulation.run_summary import Summary
from distsnn.units import counted

_REQUEST, _RESULT = "request.json", "summary.json"


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
    model: dict[str, Any] | None = None,
    policy: Policy | None = None,
    oversubscribe: bool = False,
) -> Summary:
    """Simulate a network for some time.

    Under an MPI launcher every rank calls this, and the ranks it finds simulate together.

    Parameters
    ----------
    network : Network
        The network.
    time : float
        Biological time, ms.
    out : str or PathLike, optional
        Where the run is recorded (a Zarr store); nothing is recorded without.
    seed : int
        Seed of all random numbers.
    ranks : int, optional
        Launch this many MPI ranks on this machine. By default, and with 1, none are launched.
    overwrite : bool
        Replace a run that is at `out`.
    partition : str, Assignment or Graph
        How blocks of neurons are assigned to ranks.
    delivery : {"auto", "pull", "push"}
        How spikes are delivered.
    storage : {"auto", "packed", "explicit", "procedural"}
        How synapses are stored.
    progress : bool or Progress
        Whether and how progress is shown.
    model : dict, optional
        Where the network came from, for the run's metadata.
    policy : Policy, optional
        When the run is saved into its store, and when it stops by itself.
    oversubscribe : bool
        Allow `ranks` to be more than 16 for each core of this process.

    Returns
    -------
    Summary
        Sizes, speed and rates.

    Raises
    ------
    DescriptionError
        If a setting is not valid, the network cannot be built, or `ranks` differs from the ranks
        of this job.
    StoreError
        If `out` exists or cannot be written.
    RankError
        If launched ranks failed; what they said is on standard error.
    """
    job = detect_launcher(os.environ)
    if ranks is not None and (isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1):
        raise DescriptionError("must be a number of ranks", where="ranks", value=ranks)
    if job is None and ranks is not None and ranks > 1:
        if not isinstance(partition, str) or isinstance(progress, Progress):
            raise DescriptionError(
                "cannot be handed to launched ranks",
                where="progress" if isinstance(partition, str) else "partition",
                allowed="a name or a bool; or start the script under mpiexec",
            )
        Settings(seed, partition, delivery, storage)
        (policy or Policy()).check_saved(recorded=out is not None)
        request = {
            "time": float(time),
            "out": None if out is None else os.fspath(Path(out).absolute()),
            "seed": seed,
            "overwrite": overwrite,
            "partition": partition,
            "delivery": delivery,
            "storage": storage,
            "progress": bool(progress),
            "model": model,
            "policy": None if policy is None else asdict(policy),
            "modules": user_modules(network),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
        }
        return _launch(network, ranks, request, oversubscribe)
    if job is not None and ranks is not None and job.size not in (None, ranks):
        raise DescriptionError(
            f"this job has {counted(job.size, 'rank')}",
            where="ranks",
            value=ranks,
            allowed=f"{job.size}, or leave it out",
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
        model=model,
        policy=policy,
    ) as simulation:
        simulation.run(time)
        return simulation.close()


def _launch(network: Network, ranks: int, request: dict[str, Any], oversubscribe: bool) -> Summary:
    with tempfile.TemporaryDirectory(prefix="distsnn-") as folder:
        save_network(folder, network)
        (Path(folder) / _REQUEST).write_text(json.dumps(request), encoding="utf-8")
        code = launch(
            *(ranks, ["worker", folder]),
            start_timeout_s=start_timeout(DEFAULT_TIMEOUT_S),
            oversubscribe=oversubscribe,
        )
        if code == 130:
            raise KeyboardInterrupt
        if code == EXIT_RESUMABLE:
            raise Stopped("a signal or the wall limit", at_ms=0.0, store=request["out"])
        result = Path(folder) / _RESULT
        if code != 0 or not result.exists():
            raise RankError(0, f"the launched ranks ended with exit code {code}")
        return Summary(**json.loads(result.read_text(encoding="utf-8")))


def is_request(folder: str) -> bool:
    """Return whether a folder holds what `work` reads."""
    return (Path(folder) / _REQUEST).is_file()


def work(folder: str, rank: int) -> None:
    """Do, as one of the launched ranks, what `simulate` wrote into a folder. Collective.

    Parameters
    ----------
    folder : str
        The folder with the network and the request.
    rank : int
        This rank; rank 0 writes the summary there.
    """
    request = json.loads((Path(folder) / _REQUEST).read_text(encoding="utf-8"))
    modules, path = request.pop("modules", {}), request.pop("path", [])
    if modules:
        # as in the process that launched the ranks: modules that these modules import, too
        sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    for name, file in modules.items():
        _load(name, file)
    if request.get("policy") is not None:
        request["policy"] = Policy(**request["policy"])
    summary = simulate(load_network(folder), request.pop("time"), **request)
    if rank == 0:
        (Path(folder) / _RESULT).write_text(json.dumps(summary.to_dict()), encoding="utf-8")


def user_modules(network: Network) -> dict[str, str]:
    """Return the modules that define user-defined classes of a network, with their files.

    Parameters
    ----------
    network : Network
        The network; its models, rules, distributions and stimuli may be of any user-defined class.

    Returns
    -------
    dict of str to str
        File of each module, by the name that it is imported with; a script is "__main__".

    Raises
    ------
    DescriptionError
        If a class is defined in a module without a file, such as a notebook.
    """
    found = {}
    for made in dict.fromkeys(type(part) for part in parts(network)):
        name = made.__module__
        if name.partition(".")[0] == "distsnn":
            continue
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if file is None:
            raise DescriptionError(
                f"class {made.__qualname__} is defined in {name}, which has no file that launched "
                "ranks could import",
                where="ranks",
                allowed="1; or define the class in a module or script",
            )
        # of `python -m package.module`
        specification = getattr(module, "__spec__", None)
        found[specification.name if specification else name] = str(Path(file).resolve())
    return found


def _load(name: str, file: str) -> None:
    """Import a user's module, as it is found or from its file; a script is not run as one."""
    if name != "__main__" and _is_importable(name):
        importlib.import_module(name)
        return
    known = f"distsnn_{name.strip('_').replace('.', '_')}"
    specification = importlib.util.spec_from_file_location(known, file)
    if specification is None or specification.loader is None:
        raise DescriptionError("cannot be loaded as a Python file", where=file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[known] = module
    specification.loader.exec_module(module)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False
