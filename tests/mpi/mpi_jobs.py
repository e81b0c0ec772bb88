"""Starting programs under mpiexec, with a time limit, and what came of them."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import distsnn.comm
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT = 240
_MARK = "DISTSNN_TEST"  # an environment variable of our own


@dataclass(frozen=True)
class Ended:
    """A job that came to an end."""

    code: int
    out: str
    err: str
    at: float

    @property
    def messages(self) -> list[str]:
        """The lines in which distsnn says what went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("distsnn: ")]

    @property
    def since_error(self) -> float:
        """Seconds from the last ``failing at TIME`` that a rank printed to the job's end."""
        return self.at - max(map(float, re.findall(r"failing at ([\d.]+)", self.out)))


class Job:
    """A running command and its output."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.read = ""

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read standard output until it holds `text` so many times."""
        assert self.process.stdout is not None
        while self.read.count(text) < times:
            line = self.process.stdout.readline()
            assert line, f"ended before {text!r}: {self.end().err}"
            self.read += line

    def end(self, timeout: float = TIMEOUT) -> Ended:
        """Wait for the end, at most so many seconds."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Ended(self.process.returncode, self.read + out, err, time.time())

    def kill(self) -> None:
        """End the whole session: mpiexec and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


class Starter:
    """Starts programs with a clean environment, in which a variable tells whose they are."""

    def __init__(self, mark: Path) -> None:
        drop = (*LAUNCHER_PREFIXES, "SLURM_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        root = str(Path(distsnn.comm.__file__).parents[2])
        path = os.environ.get("PYTHONPATH")
        self.environment["PYTHONPATH"] = f"{root}:{path}" if path else root
        self.environment[_MARK] = str(mark)
        self.jobs: list[Job] = []

    def python(self, *arguments: str, **variables: str) -> Job:
        """Start one plain Python process."""
        self.jobs.append(Job([sys.executable, *arguments], self.environment | variables))
        return self.jobs[-1]

    def mpiexec(self, ranks: int, program: str, *arguments: str) -> Job:
        """Start a program of the programs folder on some ranks."""
        command = [distsnn.comm.mpiexec_path(), "-n", str(ranks), sys.executable]
        command += [str(PROGRAMS / program), *arguments]
        self.jobs.append(Job(command, self.environment))
        return self.jobs[-1]

    def processes(self) -> dict[int, list[str]]:
        """Return the command lines of all processes of this environment: of these tests alone."""
        mark = f"{_MARK}={self.environment[_MARK]}".encode()
        commands = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    commands[int(folder.name)] = (folder / "cmdline").read_text().split("\0")
            except OSError:
                continue
        return commands
