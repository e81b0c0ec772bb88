"""``distsnn submit``: a model as a batch job of SLURM."""

import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from distsnn.cli.parser import parse
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, unknown
from distsnn.slurm import BatchJob, analysis_script, job_script, known_flags, mpi_flag, submit
from distsnn.slurm.script import log_of
from distsnn.slurm.templates import template
from distsnn.tools.models import load_model
from distsnn.units import steps

# Loading an MPI library may kill the process that tries, or leave it initialised.
_LIBRARY = "from distsnn.comm.mpi import library; print(library())"
_PATIENCE = 120  # s
# Options of a run that the job sets; --run-option sets the others.
_OWN = {"time", "seed", "out", "set", "ranks", "resume", "checkpoint-wall", "overwrite", "help"}


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        if options.template is not None:
            print(template(options.template), end="")
        else:
            _submit(options)
    return 0


def _submit(options: Namespace) -> None:
    job = _job(options)
    if options.analyse not in (None, "report") and not Path(options.analyse).is_file():
        raise DescriptionError(
            "no such file", where="--analyse", value=options.analyse, allowed="report, or a file"
        )
    script = job_script(job)
    if options.dry_run:
        print(script, end="")
        if options.analyse is not None:
            print("\n# ---- then, with the number of the job above ----\n")
            print(analysis_script(job, options.analyse, "NUMBER"), end="")
        return
    # where log and status will be: SLURM makes no folders
    Path(job.out).parent.mkdir(parents=True, exist_ok=True)
    number = submit(script)
    print(f"job {number} makes {_runs(job)}; its log is {log_of(job, number)}")
    if options.analyse is not None:
        then = submit(analysis_script(job, options.analyse, number))
        print(f"job {then} analyses it after that")


def _job(options: Namespace) -> BatchJob:
    for name in ("model", "out", "time_limit"):
        if getattr(options, name) is None:
            place = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise DescriptionError(f"{place} is missing", where="distsnn submit")
    # An error now is better than an error after hours in the queue.
    model = load_model(options.model, options.set)
    time_ms = model.time_ms if options.time is None else options.time
    if time_ms is None:
        raise DescriptionError(
            "--time is missing, the biological time in ms", where="distsnn submit"
        )
    steps(time_ms, model.network.dt, where="--time")
    return BatchJob(
        model=options.model,
        out=options.out,
        time_limit=options.time_limit,
        ntasks=options.ntasks,
        nodes=options.nodes,
        partition=options.partition,
        account=options.account,
        qos=options.qos,
        mem=options.mem,
        settings=tuple(options.set),
        time_ms=time_ms,
        seed=options.seed,
        array=options.array,
        checkpoint_wall=options.checkpoint_wall,
        run_options=_run_options(options.model, options.run_option),
        signal_lead=options.signal_lead,
        mpi=_flag(options.mpi, options.ntasks),
        sbatch=tuple(_pair(text) for text in options.sbatch),
        prologue=tuple(options.prologue),
        folder=str(Path.cwd()),
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().removeprefix("--"), value.strip()


def _run_options(model: str, texts: list[str]) -> tuple[str, ...]:
    words: list[str] = []
    for name, value in map(_pair, texts):
        if name in _OWN:
            raise DescriptionError(
                "is given as an option of distsnn submit, or by the job itself",
                where="--run-option",
                value=name,
            )
        words += [f"--{name}", value] if value else [f"--{name}"]
    parse(["run", model, *words], prints_help=False)  # raises a usage error now
    return tuple(words)


def _flag(mpi: str | None, ntasks: int) -> str:
    supported = _known_flags()
    if mpi is None:
        return mpi_flag(_mpi_library(), ntasks, supported)
    if supported is not None and mpi not in supported:
        raise unknown("name", mpi, supported, where="--mpi")
    return mpi


def _mpi_library() -> str | None:
    command = [sys.executable, "-P", "-c", _LIBRARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    return done.stdout.strip() or None if done.returncode == 0 else None


def _known_flags() -> frozenset[str] | None:
    # None if srun is missing or does not list them: the script is written nevertheless.
    srun = shutil.which("srun")
    if srun is None:
        return None
    done = subprocess.run([srun, "--mpi=list"], capture_output=True, text=True, timeout=_PATIENCE)
    return known_flags(done.stdout + done.stderr) or None


def _runs(job: BatchJob) -> str:
    runs = job.runs
    return runs[0] if len(runs) == 1 else f"{runs[0]} to {runs[-1]} ({len(runs)} runs)"
