"""The writer thread of a rank: takes rows from its streams' rings and commits them to the store."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.row_stream import Commit, RowStream


class StreamThread:
    """Writes whole blocks as they fill, and everything there is every `flush_seconds`.

    An error in the thread is kept and raised to the owner at its next call; the thread then only
    gives room back, so that an owner that waits for room is never left waiting.

    Parameters
    ----------
    streams : sequence of RowStream
        The streams.
    flush_seconds : float
        Age at which rows and steps are committed although their block is not full, s.
    name : str
        The thread's name.
    """

    def __init__(self, streams: Sequence[RowStream], *, flush_seconds: float, name: str) -> None:
        self._streams, self._flush_seconds = tuple(streams), flush_seconds
        self._changed = threading.Condition()
        self._flush_asked = self._flush_done = 0
        self._closing = False
        self.error: BaseException | None = None
        self.error_raised = False
        # A daemon, so that an interpreter which ends without close() is not kept alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def append(self, stream: RowStream, columns: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Copy rows into a stream's ring; waits while the ring is full."""
        start = 0
        while start < rows:
            with self._changed:
                self._raise_error()
                self._changed.wait_for(lambda: self.error is not None or stream.room() > 0)
                self._raise_error()
                count = min(rows - start, stream.room())
            stream.fill(columns, start, start + count)
            with self._changed:
                stream.appended += count
                if stream.has_block():
                    self._changed.notify_all()
            start += count

    def advance(self, step: int) -> None:
        """Declare that all rows stamped ≤ `step` are appended to all streams."""
        with self._changed:
            self._raise_error()
            for stream in self._streams:
                stream.advanced = max(stream.advanced, step)

    def flush(self) -> None:
        """Return when everything appended is committed."""
        with self._changed:
            self._raise_error()
            self._flush_asked += 1
            mine = self._flush_asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._flush_done >= mine)
            self._raise_error()

    def close(self) -> None:
        """Commit everything and end the thread; does not raise its error."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _raise_error(self) -> None:
        if self._closing:
            raise RuntimeError("the writer is closed")
        if self.error is None:
            return
        self.error_raised = True
        # A new exception each time: one object raised twice collects both tracebacks.
        if isinstance(self.error, StoreError):
            raise StoreError(self.error.what, path=self.error.path) from self.error
        raise RuntimeError(f"the writer thread failed: {self.error!r}") from self.error

    def _run(self) -> None:
        due = time.monotonic() + self._flush_seconds
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(self._has_work, timeout=max(0.0, due - time.monotonic()))
                closing, asked = self._closing, self._flush_asked
                late = time.monotonic() >= due
                everything = closing or late or asked > self._flush_done
                commits = self._plan(everything=everything)
            if everything:
                due = time.monotonic() + self._flush_seconds
            self._write(commits)
            with self._changed:
                # After an error too: what cannot be written is dropped, nobody waits for room.
                for stream, commit in commits:
                    stream.take(commit)
                if everything:
                    self._flush_done = asked
                self._changed.notify_all()

    def _has_work(self) -> bool:
        return (
            self._closing
            or self._flush_asked > self._flush_done
            or any(stream.has_block() for stream in self._streams)
        )

    def _plan(self, *, everything: bool) -> list[tuple[RowStream, Commit]]:
        plans = ((stream, stream.plan(everything=everything)) for stream in self._streams)
        return [(stream, commit) for stream, commit in plans if commit is not None]

    def _write(self, commits: list[tuple[RowStream, Commit]]) -> None:
        if self.error is not None:
            return
        try:
            for stream, commit in commits:
                stream.write(commit)
        except BaseException as error:  # handed to the owner's thread, whatever it is
            self.error = error
