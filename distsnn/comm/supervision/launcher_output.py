"""What launched ranks print, passed on at once, without what the launcher says about deaths."""

import codecs
import os
import re
import threading
from typing import IO, TextIO

_RULE = b"-" * 74 + b"\n"
# How launchers' words about a death begin, and how they end.
_BANNERS = {
    # MPICH's mpiexec, on standard output
    b"=" * 83 + b"\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES": (
        b"Please see the FAQ page for debugging suggestions\n"
    ),
    # Open MPI's, on standard error
    _RULE + b"prterun noticed that process rank": b"\n" + _RULE,
    _RULE + b"prterun detected that one or more processes exited": b"\n" + _RULE,
    _RULE + b"prterun has exited due to process rank": b"\n" + _RULE,
    _RULE + b"MPI_ABORT was invoked on rank": b"\n" + _RULE,
}
# Python's faulthandler, on a rank's standard error.
_CRASH = b"Fatal Python error: "
_MOST_KEPT = 2**20  # bytes of either
# The end of a piece that may go on as one of them is held back if it has at least this length, so
# that nearly nothing ever waits for what follows it.
_LEAST_HELD = 4
_BEGINS = re.compile(b"|".join(re.escape(one) for one in (*_BANNERS, _CRASH)))


class LauncherMessageFilter:
    """Separates a launcher's banners and reports of crashes from the rest of a stream.

    Attributes
    ----------
    banner, crashes : bytes
        What was held back, for good.
    """

    def __init__(self) -> None:
        self.banner = b""
        self.crashes = b""
        self._held = b""
        self._within: bytes | None = None
        self._line_is_empty = True

    def feed(self, data: bytes) -> bytes:
        """Return what to show now that `data` has arrived."""
        self._held += data
        shown = b""
        while self._held:
            if self._within == _CRASH:  # until the end: the job ends with it
                self.crashes = (self.crashes + self._held)[:_MOST_KEPT]
                self._held = b""
            elif self._within is not None:
                text, found, rest = self._held.partition(_BANNERS[self._within])
                if not found and len(text) < _MOST_KEPT:
                    break
                self.banner = (self.banner + text)[:_MOST_KEPT]
                self._held, self._within = rest, None
            else:
                first = _BEGINS.search(self._held)
                if first is None:
                    banner = max(_overlap(self._held, one) for one in _BANNERS)
                    keep = len(self._held) - max(banner, _overlap(self._held, _CRASH))
                    if banner and self._after_blank_line(shown + self._held[:keep]):
                        keep -= 1
                    shown += self._take(max(keep, 0))
                    break
                shown += self._take(first.start())
                self._within = first.group()
                if self._within != _CRASH and self._after_blank_line(shown):
                    shown = shown[:-1]
        if shown:
            self._line_is_empty = shown.endswith(b"\n")
        return shown

    def finish(self) -> bytes:
        """Return what is left to show at the end of the stream."""
        rest = self._take(len(self._held))
        if self._within is None:
            return rest
        self.banner = (self.banner + rest)[:_MOST_KEPT]
        return b""

    def _after_blank_line(self, shown: bytes) -> bool:
        # MPICH's, before its banner
        return shown.endswith(b"\n\n") or (shown == b"\n" and self._line_is_empty)

    def _take(self, n: int) -> bytes:
        taken, self._held = self._held[:n], self._held[n:]
        return taken


def _overlap(text: bytes, marker: bytes) -> int:
    # The length of the longest end of the text with which the marker begins.
    for length in range(min(len(text), len(marker) - 1), _LEAST_HELD - 1, -1):
        if text.endswith(marker[:length]):
            return length
    return 0


class OutputForwarder:
    """A thread that passes a job's output on to a stream of this process.

    Parameters
    ----------
    pipe : file of bytes
        The job's output.
    stream : text stream
        ``sys.stdout`` or ``sys.stderr``, whatever it is now.
    descriptor : int
        What the stream writes to if nobody has replaced it; then no bytes are changed.
    """

    def __init__(self, pipe: IO[bytes], stream: TextIO, descriptor: int) -> None:
        self._pipe, self._stream = pipe, stream
        self._sieve = LauncherMessageFilter()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        try:
            is_own = stream.fileno() == descriptor
        except (AttributeError, OSError, ValueError):
            is_own = False
        self._descriptor = descriptor if is_own else None
        if is_own:
            stream.flush()
        self._thread = threading.Thread(
            target=self._copy, name="distsnn-launch-output", daemon=True
        )
        self._thread.start()

    @property
    def banner(self) -> str:
        """What the launcher said about a death."""
        return self._sieve.banner.decode(errors="replace")

    @property
    def crashes(self) -> str:
        """Where ranks crashed, in Python's words."""
        return self._sieve.crashes.decode(errors="replace")

    def finish(self) -> None:
        """Pass on the rest, once the job has ended."""
        self._thread.join(timeout=2.0)

    def _copy(self) -> None:
        try:
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._show(self._sieve.feed(chunk))
            self._show(self._sieve.finish())
        except (OSError, ValueError):
            # Whoever read our output has left, the disk that it went to is full, or the stream was
            # closed: the job is told in the same way, and never waits for a pipe nobody reads.
            self._pipe.close()

    def _show(self, data: bytes) -> None:
        if self._descriptor is None:
            self._stream.write(self._decoder.decode(data))
            self._stream.flush()
            return
        while data:
            data = data[os.write(self._descriptor, data) :]
