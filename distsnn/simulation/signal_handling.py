"""Signals that end a run: at once while a network is built, at the end of a piece while it runs.

Between the runs of a simulation that is used in a ``with`` block they wait for the next one.
"""

import _signal  # type: ignore[import-not-found]
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

from distsnn.deferred_signals import HELD, Note, ignore_at_exit, pending_signal
from distsnn.errors import Interrupted, Stopped

Handler = Callable[[int, FrameType | None], None]
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# What `signal.signal` calls, without its detour over enumerations of 3 µs: a run in pieces sets and
# restores three handlers at every piece.
_set_handler: Callable[[int, Any], Any] = _signal.signal


class SignalHandler:
    """Handles signals that ask a run to stop.

    Ctrl-C is the user's, who is to see that the job was interrupted. SIGTERM and SIGUSR1 are a
    batch system's, which is to know whether the job can be started again.

    Parameters
    ----------
    at_ms : float
        Biological time at which the run begins.
    store : str or None
        The run, if it can be resumed from there.

    Attributes
    ----------
    number : int
        The signal; 0 where there was none.
    answered : bool
        Whether the simulation has ended: all signals asked for was that.
    """

    def __init__(self, at_ms: float = 0.0, store: str | None = None) -> None:
        self.number, self.answered = pending_signal(), False
        self._at_ms, self._store = at_ms, store
        self._stopped = False

    def deferred(self) -> AbstractContextManager[None]:
        """Only take note of the first one, so that ranks can stop together; a second Ctrl-C acts.

        The batch system's signals come again and again (to the whole job, then to each step).
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self.number and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.number = self.number or number

        return self._handling(note)

    @contextmanager
    def deferred_between_runs(self) -> Iterator[None]:
        """Take note of a batch system's signals between runs too: the next run acts upon them.

        A signal that no run has handled when the body ends is sent again, to the current handler:
        by default it ends the process.
        """

        def note(number: int, frame: FrameType | None) -> None:
            self.number = self.number or number

        with self._handling(note, HELD):
            yield
        if self.number in HELD and not self.answered:
            os.kill(os.getpid(), self.number)

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Raise Interrupted or Stopped at once, whatever the body makes of it.

        A compiler that is interrupted in a callback loses the exception and fails later in words
        of its own, or not at all. A batch system's signal that comes again does not interrupt the
        way out, unless the exception was lost.
        """
        armed = False

        def act(number: int, frame: FrameType | None) -> None:
            nonlocal armed
            self.number = self.number or number
            if armed or number == signal.SIGINT:
                armed = False
                raise KeyboardInterrupt

        def lost() -> None:
            nonlocal armed
            armed = True

        with self._handling(act), _lost_interrupts_silent(lost):
            try:
                armed = True
                if not self.number:
                    yield
            except (Exception, KeyboardInterrupt) as error:
                armed = False
                if self.number:
                    raise self.stopping(self.number, self._at_ms, self._store) from error
                raise
            finally:
                armed = False
            if self.number:
                raise self.stopping(self.number, self._at_ms, self._store)

    def stopping(self, number: int, at_ms: float, store: str | None) -> BaseException:
        """Return the exception that ends the run after a signal to any rank, 0: the wall limit."""
        if number == signal.SIGINT:
            return Interrupted(at_ms=at_ms, store=store)
        self._stopped = True
        reason = signal.Signals(number).name if number else "the wall limit"
        return Stopped(reason, at_ms=at_ms, store=store)

    @contextmanager
    def _handling(self, handler: Handler, numbers: Iterable[int] = _NUMBERS) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's
            return
        before = {number: _set_handler(number, handler) for number in numbers}
        self.number = self.number or pending_signal(before.values())
        try:
            yield
        finally:
            if self._stopped:
                # A batch system repeats itself: a process that stops must not die of the second
                # signal, by the default action, while it still writes results or ends.
                note = Note()
                before |= {n: note for n in HELD if before.get(n) == signal.SIG_DFL}
                ignore_at_exit()
            for number, handler_before in before.items():
                _set_handler(number, handler_before)


@contextmanager
def _lost_interrupts_silent(lost: Callable[[], None]) -> Iterator[None]:
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            lost()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
