"""The end of a job: one exit code and at most one message, whichever rank fails."""

import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType

from distsnn.comm.agreement import COLLECTIVE, error_summary
from distsnn.comm.protocol import Communicator
from distsnn.errors import (
    DistsnnError,
    InputError,
    RankError,
    RecordingError,
    Stopped,
    StoreError,
)

# A failed rank waits for the others this time before it aborts the job. After a collective error
# ranks may have files to close; otherwise the others most likely wait for this rank.
_COLLECTIVE_TIMEOUT_S = 8.0
_TIMEOUT_S = 1.5
_STAGGER_S = 1.6  # between the first and the last rank, and at most a quarter of it per rank
PIPE_DELAY_S = 0.2  # for the launcher to forward a message before it kills its ranks

# A batch script starts the job again after this code: the run was saved and can be resumed.
EXIT_RESUMABLE = 85
# Codes of ranks that end by themselves and have reported the reason: done, failed, bad usage,
# saved and resumable, interrupted, terminated.
REPORTED_EXIT_CODES = (0, 1, 2, EXIT_RESUMABLE, 130, 143)

_FOLLOWER = -1  # the code of a rank that stops because another rank failed


def run_job(communicator: Communicator, main: Callable[[], int | None]) -> int:
    """Run `main` on all ranks and end the job as one: the same exit code, one message.

    A rank whose `main` raises waits a few seconds for the others. If all of them end too, the
    lowest rank that failed prints its message and all return its code. If some ranks do not end,
    because they wait for the failed rank, it prints its message and aborts the job.

    Parameters
    ----------
    communicator : Communicator
        All ranks.
    main : callable
        Returns an exit code (None for 0).

    Returns
    -------
    int
        0 done; 85 Stopped; 2 InputError or StoreError, except RecordingError; 130
        interrupted; 1 any other exception; else the value of `main`, or the code of SystemExit.
    """
    try:
        code = _run(main)
        codes = communicator.gather_exit_codes(code, None)
    except BaseException as error:
        return _end(communicator, error)
    return code if codes is None else _job_exit_code(codes)[1]


def install_hook(communicator: Communicator) -> None:
    """End the whole job on an uncaught exception, as `run_job` does.

    For scripts that call distsnn under a launcher without `run_job`; the traceback stays.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _end(communicator, error.with_traceback(trace))

    sys.excepthook = hook


def stagger_s(communicator: Communicator) -> float:
    """Return the time by which this rank reports later than rank 0, s.

    Where several ranks may report, the first report ends the job.
    """
    return min(_STAGGER_S / 4, _STAGGER_S / communicator.size) * communicator.rank


def print_message(message: str) -> None:
    """Print a message for the user on standard error, in a single write."""
    sys.stderr.write(f"distsnn: {message}\n")
    sys.stderr.flush()


def _run(main: Callable[[], int | None]) -> int:
    try:
        return _exit_status(main() or 0)
    except SystemExit as error:
        if _code(error) == 0:  # as after --help
            return 0
        raise


def _end(communicator: Communicator, error: BaseException) -> int:
    code = _code(error)
    rank_code = code if not isinstance(error, RankError) else _FOLLOWER
    timeout_s = _COLLECTIVE_TIMEOUT_S if vars(error).get(COLLECTIVE) else _TIMEOUT_S
    timeout_s += stagger_s(communicator)
    try:
        codes = communicator.gather_exit_codes(rank_code, timeout_s)
    except KeyboardInterrupt:
        codes = None  # a second Ctrl-C: wait no longer
    if codes is None:
        _report(communicator, error, names_rank=True)
        time.sleep(PIPE_DELAY_S)
        communicator.abort(code)
    reporter, job_code = _job_exit_code(codes)
    if reporter == communicator.rank:
        _report(communicator, error, names_rank=set(codes) != {rank_code})
    return job_code


def _job_exit_code(codes: tuple[int, ...]) -> tuple[int | None, int]:
    # The rank that reports, the lowest with an error of its own, and the code that all return.
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
        return 1  # the user's request was correct
    return 2 if isinstance(error, InputError | StoreError) else 1


def _exit_status(code: int) -> int:
    # The exit code of a process: a failure stays a failure.
    return code & 0xFF or 1 if code else 0


def _report(communicator: Communicator, error: BaseException, *, names_rank: bool) -> None:
    if isinstance(error, SystemExit):
        # An exit with a number has been reported where it was raised.
        if isinstance(error.code, str):
            print_message(error.code)
        return
    if isinstance(error, KeyboardInterrupt | RankError):
        print_message(error_summary(error))
        return
    prefix = f"rank {communicator.rank}: " if names_rank and communicator.size > 1 else ""
    if isinstance(error, DistsnnError):
        print_message(prefix + str(error))
        return
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    details = "".join(traceback.format_exception(error)).rstrip()
    print_message(f"{prefix}unexpected {error_summary(error)}{where}\n{details}")
