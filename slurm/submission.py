"""Submission of a script to sbatch, with its errors as clear messages."""

import re
import shutil
import subprocess

from distsnn.errors import DistsnnError, UsageError

_PATIENCE = 120  # s; a busy controller may take a while, a dead one must not hold us for ever


def submit(script: str) -> str:
    """Submit a batch script.

    Parameters
    ----------
    script : str
        Its text.

    Returns
    -------
    str
        The job's number.

    Raises
    ------
    UsageError
        If sbatch is missing or refuses the job.
    DistsnnError
        If it does not answer.
    """
    program = shutil.which("sbatch")
    if program is None:
        raise UsageError(
            "sbatch is not installed on this machine",
            where="distsnn submit",
            hint="use a login node of a SLURM cluster, or --dry-run to print the script",
        )
    try:
        done = subprocess.run(
            [program, "--parsable"], input=script, capture_output=True, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise DistsnnError(f"sbatch did not answer within {_PATIENCE} s") from None
    if done.returncode != 0:
        raise UsageError(f"sbatch refused the job: {_reason(done.stderr)}")
    return job_number(done.stdout)


def job_number(printed: str) -> str:
    """Return the job's number in what ``sbatch --parsable`` printed: ``number[;cluster]``.

    Raises
    ------
    DistsnnError
        If the number is missing.
    """
    # a site's plugins may print lines of their own before it
    match = re.search(r"^(\d+)(?:;\S+)?$", printed.strip(), flags=re.MULTILINE)
    if match is None:
        raise DistsnnError(f"sbatch printed no job number but {printed.strip()[:200]!r}")
    return match[1]


def _reason(errors: str) -> str:
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in errors.splitlines()]
    messages = [line.strip() for line in lines if line.strip()]
    return "; ".join(messages) or "no reason given"
