"""Forwards the output of launched ranks at once, without the launcher's messages about deaths."""

import codecs
import os
import re
import threading
from typing import IO, TextIO

_RULE = b"-" * 74 + b"\n"
# Start and end of the launchers' messages about a death.
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
_MAX_STORED = 2**20  # bytes of either
# The end of a chunk is held back if at least this many bytes of it may start such a message, so
# that ordinary output is hardly ever delayed.
_MIN_OVERLAP = 4
_STARTS = re.compile(b"|".join(re.escape(start) for start in (*_BANNERS, _CRASH)))


class LauncherMessageFilter:
    """Separates a launcher's banners and reports of crashes from the rest of a stream.

    Attributes
    ----------
    banner, crashes : bytes
        The separated messages.
    """

    def __init__(self) -> None:
        self.banner = b""
        self.crashes = b""
        self._held = b""
        self._within: bytes | None = None
        self._line_is_empty = True

    def feed(self, data: bytes) -> bytes:
        """Return the output to print after `data` has arrived."""
        self._held += data
        output = b""
        while self._held:
            if self._within == _CRASH:  # until the end: the job ends with it
                self.crashes = (self.crashes + self._held)[:_MAX_STORED]
                self._held = b""
            elif self._within is not None:
                text, end, remaining = self._held.partition(_BANNERS[self._within])
                if not end and len(text) < _MAX_STORED:
                    break
                self.banner = (self.banner + text)[:_MAX_STORED]
                self._held, self._within = remaining, None
            else:
                match = _STARTS.search(self._held)
                if match is None:
                    banner = max(_overlap(self._held, start) for start in _BANNERS)
                    n_output = len(self._held) - max(banner, _overlap(self._held, _CRASH))
                    if banner and self._follows_blank_line(output + self._held[:n_output]):
                        n_output -= 1
                    output += self._take(max(n_output, 0))
                    break
                output += self._take(match.start())
                self._within = match.group()
                if self._within != _CRASH and self._follows_blank_line(output):
                    output = output[:-1]
        if output:
            self._line_is_empty = output.endswith(b"\n")
        return output

    def finish(self) -> bytes:
        """Return the remaining output at the end of the stream."""
        remaining = self._take(len(self._held))
        if self._within is None:
            return remaining
        self.banner = (self.banner + remaining)[:_MAX_STORED]
        return b""

    def _follows_blank_line(self, output: bytes) -> bool:
        # MPICH prints a blank line before its banner.
        return output.endswith(b"\n\n") or (output == b"\n" and self._line_is_empty)

    def _take(self, n: int) -> bytes:
        start, self._held = self._held[:n], self._held[n:]
        return start


def _overlap(text: bytes, marker: bytes) -> int:
    """Return the length of the longest end of the text with which the marker starts."""
    for length in range(min(len(text), len(marker) - 1), _MIN_OVERLAP - 1, -1):
        if text.endswith(marker[:length]):
            return length
    return 0


class OutputForwarder:
    """A thread that forwards a job's output to a stream of this process.

    Parameters
    ----------
    pipe : file of bytes
        The job's output.
    stream : text stream
        ``sys.stdout`` or ``sys.stderr``, which may be replaced.
    descriptor : int
        The descriptor of the stream if it was not replaced; bytes are then forwarded unchanged.
    """

    def __init__(self, pipe: IO[bytes], stream: TextIO, descriptor: int) -> None:
        self._pipe, self._stream = pipe, stream
        self._filter = LauncherMessageFilter()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        try:
            is_original = stream.fileno() == descriptor
        except (AttributeError, OSError, ValueError):
            is_original = False
        self._descriptor = descriptor if is_original else None
        if is_original:
            stream.flush()
        self._thread = threading.Thread(
            target=self._copy, name="distsnn-launch-output", daemon=True
        )
        self._thread.start()

    @property
    def banner(self) -> str:
        """The launcher's messages about deaths."""
        return self._filter.banner.decode(errors="replace")

    @property
    def crashes(self) -> str:
        """Python's reports of crashes."""
        return self._filter.crashes.decode(errors="replace")

    def finish(self) -> None:
        """Forward the remaining output after the end of the job."""
        self._thread.join(timeout=2.0)

    def _copy(self) -> None:
        try:
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._print(self._filter.feed(chunk))
            self._print(self._filter.finish())
        except (OSError, ValueError):
            # The reader of this output has ended, its disk is full, or the stream was closed. The
            # job then has the same error, and never waits for a pipe without a reader.
            self._pipe.close()

    def _print(self, data: bytes) -> None:
        if self._descriptor is None:
            self._stream.write(self._decoder.decode(data))
            self._stream.flush()
            return
        while data:
            data = data[os.write(self._descriptor, data) :]
