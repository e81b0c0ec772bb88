"""The writer thread of a rank, which commits rows of its streams' rings to the store."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.row_stream import Commit, RowStream


class WriterThread:
    """Thread that writes full blocks, and all rows every `flush_seconds`.

    The next call raises an error of the thread in the main thread. After an error, the thread only
    releases rows, so that the main thread never waits for free rows without end.

    Parameters
    ----------
    streams : sequence of RowStream
        The streams.
    flush_seconds : float
        Age at which rows are committed although their block is not full, s.
    name : str
        The thread's name.
    """

    def __init__(self, streams: Sequence[RowStream], *, flush_seconds: float, name: str) -> None:
        self._streams, self._flush_seconds = tuple(streams), flush_seconds
        self._changed = threading.Condition()
        self._flush_requested = self._flush_done = 0
        self._closing = False
        self.error: BaseException | None = None
        self.error_raised = False
        # A daemon thread does not keep an interpreter alive that ends without close().
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def append(self, stream: RowStream, columns: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Copy rows into a stream's ring; waits while the ring is full."""
        start = 0
        while start < rows:
            with self._changed:
                self._raise_error()
                self._changed.wait_for(lambda: self.error is not None or stream.free_rows() > 0)
                self._raise_error()
                count = min(rows - start, stream.free_rows())
            stream.fill(columns, start, start + count)
            with self._changed:
                stream.appended += count
                if stream.has_block():
                    self._changed.notify_all()
            start += count

    def advance(self, step: int) -> None:
        """Mark all rows up to `step` as appended to all streams."""
        with self._changed:
            self._raise_error()
            for stream in self._streams:
                stream.advanced = max(stream.advanced, step)

    def flush(self) -> None:
        """Wait until all appended rows are committed."""
        with self._changed:
            self._raise_error()
            self._flush_requested += 1
            number = self._flush_requested
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._flush_done >= number)
            self._raise_error()

    def close(self) -> None:
        """Commit all rows and end the thread, without raising its error."""
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
        # A new exception each time: an object that is raised twice collects both tracebacks.
        if isinstance(self.error, StoreError):
            raise StoreError(self.error.problem, path=self.error.path) from self.error
        raise RuntimeError(f"the writer thread failed: {self.error!r}") from self.error

    def _run(self) -> None:
        due = time.monotonic() + self._flush_seconds
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(self._has_work, timeout=max(0.0, due - time.monotonic()))
                closing, requested = self._closing, self._flush_requested
                late = time.monotonic() >= due
                everything = closing or late or requested > self._flush_done
                commits = self._plan(everything=everything)
            if everything:
                due = time.monotonic() + self._flush_seconds
            self._write(commits)
            with self._changed:
                # After an error too: rows that cannot be written are dropped, to release space.
                for stream, commit in commits:
                    stream.apply_commit(commit)
                if everything:
                    self._flush_done = requested
                self._changed.notify_all()

    def _has_work(self) -> bool:
        return (
            self._closing
            or self._flush_requested > self._flush_done
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
