"""The message about a job that was lost: the state of its run store, and what to do next."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distsnn.comm import JobResult
from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import generations
from distsnn.io.reader import StoreReader


def add_run_state(
    path: Path, *, overwrite: bool, resume_command: str
) -> Callable[[JobResult], JobResult]:
    """Return a function that adds the state of a run store to the result of a job.

    Call this before the job starts: the function compares the store with its state at this call.

    Parameters
    ----------
    path : Path
        The run store, which need not exist.
    overwrite : bool
        Whether the job replaces a run that exists.
    resume_command : str
        The command that continues the run.

    Returns
    -------
    callable
        Returns a JobResult for a JobResult. The exit code is 0 if the run is complete.
    """
    before = _state(path)

    def completed(result: JobResult) -> JobResult:
        message, now = result.message, _state(path)
        if now is None:
            return replace(result, message=f"{message}; nothing was recorded")
        try:
            reader = StoreReader(path, skip_damaged_attempts=True)
            saved = generations(path)
        except StoreError as error:
            return replace(result, message=f"{message}; the run cannot be read: {error}")
        if now == before and (reader.complete or overwrite):
            return replace(result, message=f"{message}; {path} is unchanged")
        if reader.complete:
            time_ms = reader.complete_step * reader.dt
            return JobResult(0, f"{message}; {path} is complete: {time_ms:g} ms")
        if saved:
            then = f"saved, continue with: {resume_command}"
        else:
            then = "it was never saved, and must be started again"
        return replace(result, message=f"{message}; {path} is not complete; {then}")

    return completed


def _state(path: Path) -> tuple[int, int] | None:
    # Completion is written last, into this file.
    try:
        status = (path / "zarr.json").stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
