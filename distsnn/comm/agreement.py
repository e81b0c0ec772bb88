"""Collective checks after each phase: if a rank fails, all ranks fail with its message."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from distsnn.comm.protocol import Communicator
from distsnn.errors import DistsnnError, RankError, UsageError

# Marks an error that every rank raises now, so that every rank is about to end by itself.
COLLECTIVE = "_distsnn_collective"


def error_summary(error: BaseException) -> str:
    """Return an error as a single line: distsnn's message unchanged, others with their class."""
    if isinstance(error, DistsnnError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


T = TypeVar("T")
Error = TypeVar("Error", bound=BaseException)


def mark_collective(error: Error) -> Error:
    """Return an error after marking it as one that every rank raises now."""
    vars(error)[COLLECTIVE] = True
    return error


def raise_if_any_failed(
    communicator: Communicator, error: BaseException | None, phase: str = ""
) -> None:
    """Raise on all ranks if any of them has an error. Collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    error : exception or None
        The error of this rank.
    phase : str, optional
        The current activity of the ranks, e.g. ``"building the network"``.

    Raises
    ------
    BaseException
        `error` itself, on a rank that has an error.
    RankError
        On the other ranks, with the message of the lowest rank that failed.
    """
    if not communicator.allreduce_max(int(error is not None)):
        return
    messages = communicator.allgather(None if error is None else error_summary(error))
    if error is None:
        rank, message = next((r, text) for r, text in enumerate(messages) if text is not None)
        error = RankError(rank, f"{phase}: {message}" if phase else message)
    raise mark_collective(error)


@contextmanager
def collective_phase(communicator: Communicator, phase: str = "") -> Iterator[None]:
    """Run a phase on all ranks; if it fails on any rank, leave it with an error on all.

    The body must not make a collective call: a rank that failed would be missing in it. End a
    phase before a collective call, begin the next phase after it.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    phase : str, optional
        The activity of the ranks, for the message.

    Raises
    ------
    BaseException
        The body's own exception, on a rank where it failed.
    RankError
        On the other ranks.
    """
    failure: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        failure = error
        if phase and not isinstance(error, DistsnnError):
            error.add_note(f"while {phase}")
    raise_if_any_failed(communicator, failure, phase)


def require_equal_int(
    communicator: Communicator, make: Callable[[], int], phase: str, *, where: str
) -> int:
    """Return the integer that every rank makes, if it is equal on all ranks. Collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    make : callable
        Returns this rank's integer, without a collective call.
    phase, where : str
        The activity of the ranks, and the quantity, for the messages.

    Raises
    ------
    BaseException
        The exception of `make`, on a rank where it failed.
    RankError
        On the other ranks.
    UsageError
        On all ranks, if their integers differ.
    """
    number, failure = 0, None
    try:
        number = make()
    except (Exception, KeyboardInterrupt) as error:
        failure = error
    summary = np.array([failure is not None, number, -number])
    any_failed, maximum, negative_minimum = communicator.allreduce_max(summary).tolist()
    if any_failed:
        raise_if_any_failed(communicator, failure, phase)
    if maximum != -negative_minimum:
        raise mark_collective(_difference_error("ranks were given different values", where))
    return number


def allgather_checked(
    communicator: Communicator, answer: Callable[[], tuple[object, T]], *, where: str
) -> list[T]:
    """Return every rank's answer to a request, in rank order. Collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    answer : callable
        Returns the request, which must be equal on all ranks, and this rank's answer, without a
        collective call.
    where : str
        The context for the error.

    Raises
    ------
    BaseException
        The exception of `answer`, on a rank where it failed.
    RankError
        On the other ranks.
    UsageError
        On all ranks, if their requests differ.
    """
    pair, failure, message = None, None, None
    try:
        pair = answer()
    except (Exception, KeyboardInterrupt) as error:
        failure, message = error, error_summary(error)
    pairs = []
    for rank, (rank_pair, rank_message) in enumerate(communicator.allgather((pair, message))):
        if rank_pair is None:
            raise mark_collective(failure or RankError(rank, str(rank_message)))
        pairs.append(rank_pair)
    for rank, (request, _) in enumerate(pairs):
        if request != pairs[0][0]:
            problem = f"rank {rank} was given other neurons, variables or values than rank 0"
            raise mark_collective(_difference_error(problem, where))
    return [rank_answer for _, rank_answer in pairs]


def broadcast_from_rank0(communicator: Communicator, make: Callable[[], T]) -> T:
    """Return on all ranks the object that rank 0 makes. Collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    make : callable
        Called on rank 0 alone, without a collective call.

    Raises
    ------
    BaseException
        The exception of `make`, on rank 0.
    RankError
        On the other ranks.
    """
    result, failure, message = None, None, None
    if communicator.rank == 0:
        try:
            result = make()
        except (Exception, KeyboardInterrupt) as error:
            failure, message = error, error_summary(error)
    result, message = communicator.bcast((result, message))
    if message is not None:
        raise mark_collective(failure or RankError(0, message))
    return result  # type: ignore[return-value]


def _difference_error(problem: str, where: str) -> UsageError:
    return UsageError(problem, where=where, allowed="the same on all ranks")


@contextmanager
def first_on_node(communicator: Communicator) -> Iterator[None]:
    """Run the body on the first rank of each compute node before the other ranks. Collective.

    For a body that leaves files on the node, such as compiled kernels in the disk cache. The other
    ranks run it too, after the first has finished or failed.
    """
    if communicator.node_rank > 0:
        communicator.node_barrier()
    try:
        yield
    finally:
        if communicator.node_rank == 0:
            communicator.node_barrier()
