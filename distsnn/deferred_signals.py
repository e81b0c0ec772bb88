"""Deferred signals: recorded while no run can handle them, without ending the process."""

import _signal  # type: ignore[import-not-found]
import atexit
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

# `signal.getsignal` without its conversion to enumerations: each segment of a run reads two
# handlers.
_get_handler: Callable[[int], Any] = _signal.getsignal

HELD = (signal.SIGTERM, signal.SIGUSR1)


class Note:
    """A handler that stores the number of the first signal."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Store a signal."""
        self.number = self.number or number


def defer_signals() -> None:
    """Defer SIGTERM and SIGUSR1 for the rest of the process.

    A simulation handles a deferred signal while it is built and runs. A later signal, while results
    are written or the interpreter ends, has no effect.
    """
    note = Note()
    for number in HELD:
        signal.signal(number, note)
    ignore_at_exit()


def ignore_at_exit() -> None:
    """Ignore SIGTERM, SIGUSR1 and SIGINT from the start of the interpreter's exit functions.

    Python restores the default action of every handled signal before it ends: a signal would then
    end a process that has saved its work.
    """
    atexit.unregister(_ignore)
    atexit.register(_ignore)


def _ignore() -> None:
    for number in (*HELD, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def pending_signal(handlers: Iterable[Any] | None = None) -> int:
    """Return the deferred signal that has not been handled yet, or 0.

    Parameters
    ----------
    handlers : iterable, optional
        Handlers to check; by default the current ones. Code that replaces handlers checks the old
        handlers afterwards: they may have received a signal in between.
    """
    for handler in map(_get_handler, HELD) if handlers is None else handlers:
        if isinstance(handler, Note) and handler.number:
            return handler.number
    return 0
