"""Submission of a model as a batch job of SLURM, checked before it enters the queue."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distsnn.cli.parser import parse
from distsnn.errors import DescriptionError, DistsnnError, InputError, UsageError, argument_errors
from distsnn.io.network_files import save_network
from distsnn.network import Network
from distsnn.network.serialise import user_classes
from distsnn.public_api import public_function
from distsnn.slurm import BatchJob, analysis_script, choose_mpi_flag, job_script, submit
from distsnn.tools.model_settings import setting_texts
from distsnn.tools.models import load_model
from distsnn.units import to_steps

# Options of a run that the job sets; `run_option` sets others.
_JOB_OPTIONS = frozenset(
    ("time", "seed", "out", "set", "ranks", "resume", "checkpoint-wall-time", "overwrite", "help")
)


@dataclass(frozen=True)
class SubmittedJob:
    """A batch job, and the job that analyses its runs.

    Parameters
    ----------
    job : BatchJob
        The description of the job; ``run_paths`` are its stores.
    script : str
        Its batch script.
    number : str or None
        Its number in SLURM; None if it was not submitted (`dry_run`).
    analysis_script : str or None
        Script of the analysis; None without `analyse`. It contains the number of the job, or
        ``NUMBER`` if this was not submitted.
    analysis_number : str or None
        Number of the analysis in SLURM.
    """

    job: BatchJob
    script: str
    number: str | None = None
    analysis_script: str | None = None
    analysis_number: str | None = None


@public_function
def submit_job(
    model: Network | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    time_limit: str,
    time: float | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    seed: int | None = None,
    array: str | None = None,
    run_option: Mapping[str, Any] | None = None,
    analyse: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    ntasks: int = 1,
    nodes: int | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    mem: str | None = None,
    sbatch: Mapping[str, str] | None = None,
    prologue: Sequence[str] = (),
    mpi: str | None = None,
    checkpoint_wall_time: str = "5min",
    checkpoint_lead: int | None = None,
) -> SubmittedJob:
    """Run a model as a batch job of SLURM.

    Model, settings and options are checked before the job enters the queue.

    Parameters
    ----------
    model : Network, str or PathLike
        A network, which is saved beside `out` for the job; or MODEL of ``distsnn run``: the name of
        an example, or the path of a Python file, a run or a stored network.
    out : str or PathLike
        Run store to record to.
    time_limit : str
        Wall-clock limit of one start, as sbatch takes it: minutes, H:M:S or D-H:M.
    time : float, optional
        Biological time, ms; by default the time of the run that `model` names.
    settings : mapping, or sequence of str
        Parameters of the model, ``{"scale": 0.1}`` or ``["scale=0.1"]``.
    seed : int, optional
        Seed of all random numbers; by default the model's own.
    array : str, optional
        Seeds of a job array, such as ``"1-10"`` or ``"1-100%8"``; seed 7 makes ``RUN-seed7.zarr``.
    run_option : mapping, optional
        Further options of ``distsnn run``, such as ``{"delivery": "push"}``; an empty text is a
        flag.
    analyse : str or PathLike, optional
        Work once all runs are complete: ``"report"``, or a Python file that gets the runs as
        arguments.
    dry_run : bool
        Whether to return the scripts only, and submit and write nothing.
    ntasks : int
        Number of MPI ranks.
    nodes : int, optional
        Number of compute nodes; by default SLURM chooses.
    partition, account, qos, mem : str, optional
        Options of sbatch.
    sbatch : mapping of str to str, optional
        Other options of sbatch, such as ``{"constraint": "ib"}``; an empty text is a flag.
    prologue : sequence of str
        Shell commands that come first, such as ``"module load mpich"``.
    mpi : str, optional
        Name for ``srun --mpi``; by default what the library of mpi4py needs.
    checkpoint_wall_time : str
        Wall-clock time between checkpoints.
    checkpoint_lead : int, optional
        Seconds before the limit at which to save; by default 120, or a quarter of a short limit.

    Returns
    -------
    SubmittedJob
        Number and script of the job, and of its analysis.

    Raises
    ------
    DescriptionError, UsageError
        If an argument is not valid, or the model cannot be built.
    UsageError
        If arguments are missing or unknown, or sbatch is missing or refuses the job.
    StoreError
        If a store cannot be read or written.
    DistsnnError
        If sbatch does not answer.

    Examples
    --------
    >>> submitted = submit_job(  # doctest: +SKIP
    ...     "microcircuit", out="runs/microcircuit.zarr", time=10_000.0, time_limit="24:00:00",
    ...     ntasks=64, nodes=2, analyse="report",
    ... )
    >>> submitted.number  # doctest: +SKIP
    '4711'
    """
    texts = setting_texts(settings)
    out = os.fspath(out)
    # An error now is better than an error after hours in the queue.
    if isinstance(model, Network):
        _check_stored(model, texts)
        network, name = model, f"{out.removesuffix('.zarr')}-network"
    else:
        name = os.fspath(model)
        loaded = load_model(name, texts)
        network = loaded.network
        time = loaded.time_ms if time is None else time
    if time is None:
        raise UsageError("the biological time is missing", where="time", hint="set it, ms")
    if to_steps(time, network.dt, where="time", error=UsageError) < 0:
        raise UsageError("must not be negative", where="time", value=time)
    if analyse not in (None, "report") and not Path(analyse).is_file():
        raise UsageError(
            "no such file", where="analyse", value=os.fspath(analyse), allowed="report, or a file"
        )
    job = BatchJob(
        model=name,
        out=out,
        time_limit=time_limit,
        ntasks=ntasks,
        nodes=nodes,
        partition=partition,
        account=account,
        qos=qos,
        mem=mem,
        settings=tuple(texts),
        time_ms=time,
        seed=seed,
        array=array,
        checkpoint_wall_time=checkpoint_wall_time,
        run_options=_run_words(name, run_option or {}),
        checkpoint_lead=checkpoint_lead,
        mpi=choose_mpi_flag(mpi, ntasks),
        sbatch=tuple((sbatch or {}).items()),
        prologue=tuple(prologue),
        folder=str(Path.cwd()),
    )
    with argument_errors("checkpoint_wall_time"):
        parse(["run", name, "--checkpoint-wall-time", checkpoint_wall_time], prints_help=False)
    script = job_script(job)
    analysis = None if analyse is None else os.fspath(analyse)
    if dry_run:
        after = None if analysis is None else analysis_script(job, analysis, "NUMBER")
        return SubmittedJob(job, script, analysis_script=after)
    # where log and status will be: SLURM makes no folders
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(model, Network):
        save_network(name, model)
    number = submit(script)
    if analysis is None:
        return SubmittedJob(job, script, number)
    after = analysis_script(job, analysis, number)
    try:
        return SubmittedJob(job, script, number, after, submit(after))
    except DistsnnError as error:
        kind = UsageError if isinstance(error, InputError) else DistsnnError
        raise kind(f"job {number} is submitted, but not its analysis: {error}") from error


def _check_stored(network: Network, settings: Sequence[str]) -> None:
    """Check that a job can load a network from its stored description."""
    if settings:
        raise DescriptionError(
            "a network has no parameters", where="settings", value=settings[0], allowed="none"
        )
    classes = user_classes(network)
    if classes:
        raise DescriptionError(
            f"a job cannot load the user-defined class {classes[0].__qualname__} from a network",
            where="model",
            hint="give the path of a Python file that defines build() -> Network",
        )


def _run_words(model: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return options as words of ``distsnn run``, whose parser checks them."""
    words: list[str] = []
    for name, value in options.items():
        if name.replace("_", "-") in _JOB_OPTIONS:
            raise UsageError(
                "is given as an option of distsnn submit, or by the job itself",
                where="run_option",
                value=name,
            )
        option = f"--{name.replace('_', '-')}"
        words += [option, str(value)] if str(value) else [option]
    with argument_errors("run_option"):
        parse(["run", model, *words], prints_help=False)
    return tuple(words)
