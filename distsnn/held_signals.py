"""Signals that come when nobody is ready for them: noted, not deadly."""

import _signal  # type: ignore[import-not-found]
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

# What `signal.getsignal` calls, without its detour over enumerations: a run in pieces asks for two
# handlers at every piece.
_get_handler: Callable[[int], Any] = _signal.getsignal

HELD = (signal.SIGTERM, signal.SIGUSR1)


class _Note:
    """A handler that keeps the first signal's number."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number


def hold() -> None:
    """From now on only note SIGTERM and SIGUSR1; for the rest of the process.

    A simulation acts upon them while it is built and runs, also upon one that was noted before.
    One that comes later, while results are written or the interpreter ends, changes nothing.
    """
    note = _Note()
    for number in HELD:
        signal.signal(number, note)


def held() -> int:
    """Return the signal that was noted and not acted upon yet, or 0."""
    for number in HELD:
        handler = _get_handler(number)
        if isinstance(handler, _Note) and handler.number:
            return handler.number
    return 0
