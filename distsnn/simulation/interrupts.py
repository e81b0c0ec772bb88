"""Ctrl-C and SIGTERM: at once while a network is built, at the end of a piece while it runs."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]


class Interrupts:
    """What the user's and the system's wishes to stop have come to.

    Attributes
    ----------
    wished : bool
        Whether there was one.
    """

    def __init__(self) -> None:
        self.wished = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Only take note of the first one, so that ranks can stop together; the second acts."""

        def note(number: int, frame: FrameType | None) -> None:
            if self.wished:
                raise KeyboardInterrupt
            self.wished = True

        with _handling(note):
            yield

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at once, whatever the body makes of it.

        A compiler that is interrupted in a callback loses the exception and fails later in words
        of its own, or not at all.
        """

        def act(number: int, frame: FrameType | None) -> None:
            self.wished = True
            raise KeyboardInterrupt

        with _handling(act), _lost_interrupts_silent():
            try:
                yield
            except Exception as error:
                if self.wished:
                    raise KeyboardInterrupt from error
                raise
        if self.wished:
            raise KeyboardInterrupt


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


@contextmanager
def _lost_interrupts_silent() -> Iterator[None]:
    before = sys.unraisablehook

    def hook(lost: Any) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
