"""Ranks fail together: collective checks after each phase, and who goes first on a node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from distsnn.comm.protocol import Communicator
from distsnn.errors import DescriptionError, DistsnnError, RankError

# An attribute of errors that all ranks have agreed on: every rank is about to end by itself.
COLLECTIVE = "_distsnn_agreed"


def error_summary(error: BaseException) -> str:
    """Return an error in one line: our own messages as they are, others with their class."""
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
        What went wrong on this rank.
    phase : str, optional
        What the ranks were doing, e.g. ``"building the network"``.

    Raises
    ------
    BaseException
        `error` itself, on a rank that has one.
    RankError
        On the others, with the message of the lowest rank that failed.
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
    """Run a phase on all ranks; if it fails on any, leave it with an error on all.

    The body must not be collective itself: a rank that failed would be missing in the others'
    calls. End one phase before a collective, begin the next after it.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    phase : str, optional
        What they are doing, for the message.

    Raises
    ------
    BaseException
        The body's own exception, on a rank where it failed.
    RankError
        On the others.
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
    """Return the whole number that every rank makes, if it is the same. One collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    make : callable
        Returns this rank's number, without a collective of its own.
    phase, where : str
        What they are doing, and what the number is of, for the messages.

    Raises
    ------
    BaseException
        What `make` raised, on a rank where it did.
    RankError
        On the others.
    DescriptionError
        On all ranks, if their numbers differ.
    """
    number, failure = 0, None
    try:
        number = make()
    except (Exception, KeyboardInterrupt) as error:
        failure = error
    mine = np.array([failure is not None, number, -number])
    failed, most, least = communicator.allreduce_max(mine).tolist()
    if failed:
        raise_if_any_failed(communicator, failure, phase)
    if most != -least:
        raise mark_collective(_unlike("ranks were given different values", where))
    return number


def allgather_checked(
    communicator: Communicator, answer: Callable[[], tuple[object, T]], *, where: str
) -> list[T]:
    """Return every rank's answer to the same request, in rank order. One collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    answer : callable
        Returns what was asked for, which must be equal on all ranks, and this rank's answer,
        without a collective of its own.
    where : str
        The place named in the error.

    Raises
    ------
    BaseException
        What `answer` raised, on a rank where it did.
    RankError
        On the others.
    DescriptionError
        On all ranks, if their requests differ.
    """
    mine, failure, message = None, None, None
    try:
        mine = answer()
    except (Exception, KeyboardInterrupt) as error:
        failure, message = error, error_summary(error)
    found = communicator.allgather((mine, message))
    parts = []
    for rank, (given, failed) in enumerate(found):
        if given is None:
            raise mark_collective(failure or RankError(rank, str(failed)))
        parts.append(given)
    for rank, (asked, _) in enumerate(parts):
        if asked != parts[0][0]:
            what = f"rank {rank} was given other neurons, variables or values than rank 0"
            raise mark_collective(_unlike(what, where))
    return [part for _, part in parts]


def broadcast_from_rank0(communicator: Communicator, make: Callable[[], T]) -> T:
    """Return on all ranks what rank 0 makes. One collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    make : callable
        Called on rank 0 alone, without a collective of its own.

    Raises
    ------
    BaseException
        What `make` raised, on rank 0.
    RankError
        On the others.
    """
    made, failure, message = None, None, None
    if communicator.rank == 0:
        try:
            made = make()
        except (Exception, KeyboardInterrupt) as error:
            failure, message = error, error_summary(error)
    made, message = communicator.bcast((made, message))
    if message is not None:
        raise mark_collective(failure or RankError(0, message))
    return made  # type: ignore[return-value]


def _unlike(what: str, where: str) -> DescriptionError:
    return DescriptionError(what, where=where, allowed="the same on all ranks")


@contextmanager
def first_on_node(communicator: Communicator) -> Iterator[None]:
    """Let the first rank of each node run the body before the others of that node do.

    For what leaves something behind on the node, such as compiled kernels in the disk cache. The
    others run it too, after the first has finished or failed. Collective.
    """
    if communicator.node_rank > 0:
        communicator.node_barrier()
    try:
        yield
    finally:
        if communicator.node_rank == 0:
            communicator.node_barrier()
