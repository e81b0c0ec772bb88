"""Signals that arrive while no run can act upon them: noted, without ending the process."""

import _signal  # type: ignore[import-not-found]
import atexit
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

# What `signal.getsignal` calls, without its detour over enumerations: a run in pieces asks for two
# handlers at every piece.
_get_handler: Callable[[int], Any] = _signal.getsignal

HELD = (signal.SIGTERM, signal.SIGUSR1)


class Note:
    """A handler that keeps the first signal's number."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        self.number = self.number or number


def hold() -> None:
    """Note SIGTERM and SIGUSR1 from now on, for the rest of the process.

    A simulation acts upon a noted signal while it is built and runs. A signal that arrives later,
    while results are written or the interpreter ends, changes nothing.
    """
    note = Note()
    for number in HELD:
        signal.signal(number, note)
    ignore_at_exit()


def ignore_at_exit() -> None:
    """Ignore SIGTERM, SIGUSR1 and SIGINT from the interpreter's exit functions on.

    Python gives every handled signal its default action back before it ends: a signal would then
    end a process whose work is saved.
    """
    atexit.unregister(_ignore)
    atexit.register(_ignore)


def _ignore() -> None:
    for number in (*HELD, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def held(handlers: Iterable[Any] | None = None) -> int:
    """Return the signal that was noted and not acted upon yet, or 0.

    Parameters
    ----------
    handlers : iterable, optional
        Handlers to ask; by default the present ones. Who replaces handlers asks the replaced ones
        afterwards: a signal that arrives in between is in one of them.
    """
    for handler in map(_get_handler, HELD) if handlers is None else handlers:
        if isinstance(handler, Note) and handler.number:
            return handler.number
    return 0
