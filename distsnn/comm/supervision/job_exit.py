"""How a job ends: one exit code and at most one message, whatever fails on whichever rank."""

import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType

from distsnn.comm.agreement import COLLECTIVE, error_summary
from distsnn.comm.protocol import Communicator
from distsnn.errors import (
    DescriptionError,
    DistsnnError,
    RankError,
    RecordingError,
    Stopped,
    StoreError,
)

# How long a failed rank waits for the others before it ends the job by force, in s. Ranks that
# have agreed to fail may have files to close; else the others most likely wait for this one.
_PATIENCE_AGREED = 8.0
_PATIENCE = 1.5
# Ranks that run out of patience do so one after the other, so that only the first speaks.
_STAGGER = 1.6  # s, between the first and the last rank, and at most a quarter of it per rank
PIPE_DELAY = 0.2  # s, for the launcher to forward a message before it kills its ranks

# What a batch system's script takes as "start me again": the run was saved and can be resumed.
EXIT_RESUMABLE = 85
# Codes of ranks that end by themselves and have said why: done, failed, bad usage, saved and
# resumable, interrupted, terminated.
REPORTED_EXIT_CODES = (0, 1, 2, EXIT_RESUMABLE, 130, 143)

_FOLLOWER = -1  # the code of a rank that stops because of another


def run_job(communicator: Communicator, main: Callable[[], int | None]) -> int:
    """Run `main` on all ranks and end the job as one: the same exit code, one message.

    A rank whose `main` raises waits a few seconds for the others. If all of them end too, the
    lowest that failed prints its message and all return its code; if some do not, because they
    wait for the failed rank, it prints its message and aborts the job.

    Parameters
    ----------
    communicator : Communicator
        All ranks.
    main : callable
        Returns an exit code (None for 0).

    Returns
    -------
    int
        0 done; 85 Stopped; 2 DescriptionError or StoreError, but for RecordingError; 130
        interrupted; 1 any other exception; else what `main` returned, or the code of SystemExit.
    """
    try:
        code = _run(main)
        codes = communicator.gather_exit_codes(code, None)
    except BaseException as error:
        return _end(communicator, error)
    return code if codes is None else _verdict(codes)[1]


def install_hook(communicator: Communicator) -> None:
    """End the whole job on an exception that nobody catches, as `run_job` does.

    For scripts that call distsnn under a launcher without `run_job`; the traceback stays.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _end(communicator, error.with_traceback(trace))

    sys.excepthook = hook


def print_message(message: str) -> None:
    """Print a message for the user on standard error, in one piece."""
    sys.stderr.write(f"distsnn: {message}\n")
    sys.stderr.flush()


def _run(main: Callable[[], int | None]) -> int:
    try:
        return _exit_status(main() or 0)
    except SystemExit as error:
        if _code(error) == 0:  # after --help, say: an end like any other
            return 0
        raise


def _end(communicator: Communicator, error: BaseException) -> int:
    code = _code(error)
    own = code if not isinstance(error, RankError) else _FOLLOWER
    wait = _PATIENCE_AGREED if vars(error).get(COLLECTIVE) else _PATIENCE
    wait += min(_STAGGER / 4, _STAGGER / communicator.size) * communicator.rank
    try:
        codes = communicator.gather_exit_codes(own, wait)
    except KeyboardInterrupt:
        codes = None  # a second Ctrl-C: wait no longer
    if codes is None:
        _report(communicator, error, alone=True)
        time.sleep(PIPE_DELAY)
        communicator.abort(code)
    speaker, verdict = _verdict(codes)
    if speaker == communicator.rank:
        _report(communicator, error, alone=any(other != own for other in codes))
    return verdict


def _verdict(codes: tuple[int, ...]) -> tuple[int | None, int]:
    # Who speaks and which code all return: the lowest rank with an error of its own.
    for rank, code in enumerate(codes):
        if code > 0:
            return rank, code
    followers = [rank for rank, code in enumerate(codes) if code == _FOLLOWER]
    return (followers[0], 1) if followers else (None, 0)


def _code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return _exit_status(error.code) if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, Stopped):
        return EXIT_RESUMABLE if error.resumable else 1
    if isinstance(error, RecordingError):
        return 1  # nothing was wrong with what the user asked for
    return 2 if isinstance(error, DescriptionError | StoreError) else 1


def _exit_status(code: int) -> int:
    # What a process can return: failures stay failures.
    return code & 0xFF or 1 if code else 0


def _report(communicator: Communicator, error: BaseException, *, alone: bool) -> None:
    if isinstance(error, SystemExit):
        # Whoever raised it with a number has said why.
        if isinstance(error.code, str):
            print_message(error.code)
        return
    if isinstance(error, KeyboardInterrupt | RankError):
        print_message(error_summary(error))
        return
    place = f"rank {communicator.rank}: " if alone and communicator.size > 1 else ""
    if isinstance(error, DistsnnError):
        print_message(place + str(error))
        return
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    details = "".join(traceback.format_exception(error)).rstrip()
    print_message(f"{place}unexpected {error_summary(error)}{where}\n{details}")
