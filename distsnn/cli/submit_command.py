"""``distsnn submit``: a model as a batch job of SLURM."""

from argparse import Namespace

from distsnn.cli.function_calls import call_function
from distsnn.comm import Communicator
from distsnn.errors import UsageError
from distsnn.slurm import BatchJob
from distsnn.slurm.script import log_path
from distsnn.slurm.templates import template
from distsnn.tools.job_submission import SubmittedJob, submit_job


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        if options.template is not None:
            print(template(options.template), end="")
        else:
            _print(_submit(options))
    return 0


def _submit(options: Namespace) -> SubmittedJob:
    for name in ("model", "out", "time_limit"):
        if getattr(options, name) is None:
            place = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{place} is missing", where="distsnn submit")
    return call_function(
        submit_job,
        options,
        options.model,
        settings=options.set,
        run_option=dict(map(_pair, options.run_option)),
        sbatch=dict(map(_pair, options.sbatch)),
    )


def _print(submitted: SubmittedJob) -> None:
    job, number = submitted.job, submitted.number
    if number is None:
        print(submitted.script, end="")
        if submitted.analysis_script is not None:
            print("\n# ---- then, with the number of the job above ----\n")
            print(submitted.analysis_script, end="")
        return
    print(f"job {number} makes {_runs(job)}; its log is {log_path(job, number)}")
    if submitted.analysis_number is not None:
        print(f"job {submitted.analysis_number} analyses it after that")


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().removeprefix("--"), value.strip()


def _runs(job: BatchJob) -> str:
    runs = job.run_paths
    return runs[0] if len(runs) == 1 else f"{runs[0]} to {runs[-1]} ({len(runs)} runs)"
