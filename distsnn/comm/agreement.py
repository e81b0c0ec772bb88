"""Ranks fail together: collective checks after each phase, and who goes first on a node."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from distsnn.comm.protocol import Communicator
from distsnn.errors import DistsnnError, RankError

# An attribute of errors that all ranks have agreed on: every rank is about to end by itself.
AGREED = "_distsnn_agreed"


def summary(error: BaseException) -> str:
    """Return an error in one line: our own messages as they are, others with their class."""
    if isinstance(error, DistsnnError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


Error = TypeVar("Error", bound=BaseException)


def agreed(error: Error) -> Error:
    """Return an error after marking it as one that every rank raises now."""
    vars(error)[AGREED] = True
    return error


def agree(communicator: Communicator, error: BaseException | None, phase: str = "") -> None:
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
    messages = communicator.allgather(None if error is None else summary(error))
    if error is None:
        rank, message = next((r, text) for r, text in enumerate(messages) if text is not None)
        error = RankError(rank, f"{phase}: {message}" if phase else message)
    raise agreed(error)


@contextmanager
def together(communicator: Communicator, phase: str = "") -> Iterator[None]:
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
    agree(communicator, failure, phase)


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
