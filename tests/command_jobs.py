"""Starting the command line as a user does, alone and under mpiexec, with a hard time limit."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import distsnn
from distsnn.comm import mpiexec_path
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES

# Compiling all kernels anew, beside other work, is the longest that a job may take.
TIMEOUT = 240
# s, from a fault to the end of its job, beside other work: shorter than the 30 s and more after
# which silence, a launcher or the program itself would end the job if nothing noticed the fault
SOON = 25.0
# s, the same from an error that a rank can tell of: shorter than the 8 s after which ranks stop
# waiting for each other's exit codes
AT_ONCE = 7.5
ROOT = Path(distsnn.__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """A job that came to an end: its exit code, output, and when that was (s, wall clock)."""

    code: int
    out: str
    err: str
    at: float

    @property
    def messages(self) -> list[str]:
        """The lines in which distsnn says something, without those of progress."""
        said = [line for line in self.err.splitlines() if line.startswith("distsnn: ")]
        progress = re.compile(
            r"distsnn: (building |going on at |stopped at |[\d.]+ of |warning: \d+ ranks share )"
        )
        return [line for line in said if not progress.match(line)]

    @property
    def since_error(self) -> float:
        """Seconds from the last ``failing at TIME`` that a model printed to the job's end."""
        return self.at - max(map(float, re.findall(r"failing at ([\d.]+)", self.out)))


class Job:
    """A command that runs, in a session of its own."""

    def __init__(self, command: list[str], folder: Path | None, **variables: str) -> None:
        drop = (*LAUNCHER_PREFIXES, "SLURM_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        path = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{ROOT}:{path}" if path else str(ROOT)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, timeout: float = TIMEOUT) -> Ended:
        """Wait for the end; past the limit everything is killed and the test fails."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Ended(self.process.returncode, out, err, time.time())

    def interrupt(self, number: int = signal.SIGINT) -> float:
        """Send a signal to the command; return the time."""
        os.kill(self.process.pid, number)
        return time.time()

    def kill(self) -> None:
        """End the command and all it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


def command(*arguments: str, ranks: int | None = None) -> list[str]:
    """Return ``distsnn ARGUMENTS``, under mpiexec if `ranks` is given."""
    words = [sys.executable, "-m", "distsnn", *map(str, arguments)]
    return words if ranks is None else [mpiexec_path(), "-n", str(ranks), *words]


def run(*arguments: str, ranks: int | None = None, folder: Path | None = None) -> Ended:
    """Run ``distsnn ARGUMENTS`` to its end, under mpiexec if `ranks` is given."""
    with running(*arguments, ranks=ranks, folder=folder) as job:
        return job.end()


@contextmanager
def running(*arguments: str, ranks: int | None = None, folder: Path | None = None) -> Iterator[Job]:
    """Start ``distsnn ARGUMENTS``; nothing of it is left behind."""
    job = Job(command(*arguments, ranks=ranks), folder)
    try:
        yield job
    finally:
        job.kill()


def run_program(file: str, ranks: int, *words: object) -> None:
    """Run a program of Python under mpiexec to its end, which must be a good one."""
    program = [sys.executable, file, *map(str, words)]
    job = Job([mpiexec_path(), "-n", str(ranks), *program], None)
    try:
        ended = job.end()
    finally:
        job.kill()
    assert ended.code == 0, f"{ended.out}\n{ended.err}"
