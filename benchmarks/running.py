"""How the drivers start one measurement each, in a process of its own."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.environments import python_of

from distsnn.comm import launch

HERE = Path(__file__).resolve().parent


class MeasurementError(RuntimeError):
    """A measurement ended without a result."""


def run_ranks(script: str, ranks: int, arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Run one of this folder's scripts on some ranks of this machine.

    Returns
    -------
    list of dict
        The lines of JSON that it printed.

    Raises
    ------
    MeasurementError
        If it ended with an error, which it has told on standard error.
    """
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = launch(ranks, arguments, program=[str(HERE / script)])
    if code != 0:
        raise MeasurementError(f"{script} {' '.join(arguments)} ended with exit code {code}")
    return _parsed(output.getvalue(), script)


def run_distsnn(ranks: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Run ``distsnn_run.py`` on some ranks and return its measurement."""
    return run_ranks("distsnn_run.py", ranks, arguments)[-1]


def discard_distsnn(ranks: int, arguments: Sequence[str]) -> None:
    """Start ``distsnn_run.py`` for no more than compiling what the next starts will load."""
    run_distsnn(ranks, [*arguments, "--time", "1", "--warmup", "0"])


def run_peer(peer: str, script: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a peer's script in the peer's environment, which is made if need be.

    Raises
    ------
    MeasurementError
        If the environment cannot be made, or the script ended with an error.
    """
    try:
        python = python_of(peer)
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"no environment for {peer}: {error}") from error
    command = [str(python), str(HERE / "peers" / script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise MeasurementError(f"{script} ended with exit code {done.returncode}")
    return _parsed(done.stdout, script)[-1]


def _parsed(output: str, script: str) -> list[dict[str, Any]]:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise MeasurementError(f"{script} printed no measurement")
    return [json.loads(line) for line in lines]


def append(path: Path | None, line: dict[str, Any]) -> None:
    """Append a measurement to a file of JSON lines, where one is wanted."""
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def say(text: str) -> None:
    """Tell on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)
