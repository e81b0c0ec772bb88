"""Entry of the command line: parse, run the command on all ranks, end them with one exit code."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

from distsnn.cli.parser import heartbeat_limit, parse
from distsnn.comm import Communicator, run_program

# What a shell reports of a program that SIGPIPE ended: the reader of our output has left.
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments after the program's name; by default the process's own.

    Returns
    -------
    int
        0 done, 2 bad usage or model, 1 failed, 130 interrupted.
    """
    _open_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_program(
        lambda communicator: _execute(words, communicator), heartbeat_s=heartbeat_limit(words)
    )


def _open_streams() -> None:
    # The parent process may have closed them, as daemons do. Output is then discarded, but print
    # and mpiexec need open streams.
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.set_inheritable(descriptor, True)
            if null != descriptor:
                os.close(null)
            setattr(sys, name, os.fdopen(descriptor, "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a stored text, or a name where the locale knows only ASCII
        sys.stdout.reconfigure(errors="backslashreplace")


def _execute(words: list[str], communicator: Communicator) -> int:
    options = parse(words, prints_help=communicator.rank == 0)
    # Each command imports what it needs: `distsnn info` does not wait for compilers to load.
    command = importlib.import_module(f"distsnn.cli.{options.command}_command")
    try:
        code = int(command.execute(options, communicator))
        sys.stdout.flush()
    except BrokenPipeError:
        # As when piped into `head`. The interpreter must not find the pipe broken once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return code
