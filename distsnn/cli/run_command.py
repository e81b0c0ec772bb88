"""``distsnn run``: simulate a model on the ranks of this job, or on ranks started for it."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from distsnn.cli.function_calls import option_errors
from distsnn.cli.run_paths import check_run_path, resume_command
from distsnn.comm import REPORTED_EXIT_CODES, Communicator, JobResult, detect_launcher, launch
from distsnn.comm.supervision.heartbeat import start_timeout
from distsnn.errors import StoreError, UsageError
from distsnn.io.checkpoint_files import generations
from distsnn.io.reader import StoreReader
from distsnn.units import format_count


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command on this rank. Collective."""
    if options.ranks is not None and options.ranks != communicator.size:
        if detect_launcher() is not None:
            raise UsageError(
                f"this job has {format_count(communicator.size, 'rank')}",
                where="--ranks",
                value=options.ranks,
                allowed=f"{communicator.size}",
                hint="leave out --ranks",
            )
        check_run_path(options)
        # Each rank builds the network for itself, from the same command line.
        code = launch(
            options.ranks,
            options.words,
            start_timeout_s=start_timeout(options.heartbeat_timeout),
            oversubscribe=options.oversubscribe,
            complete_result=_Result(options).complete,
        )
        return code if code in REPORTED_EXIT_CODES else 1
    # with numba, which takes a second to import: the process that starts ranks does not need it
    from distsnn.cli.rank_run import simulate

    with option_errors(options):
        return simulate(options, communicator)


class _Result:
    """The results of launched ranks on disk, for the message about a job that was lost."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        path = options.out if options.resume in (None, "auto") else options.resume
        self._path = None if path is None else Path(path)
        self._before = self._state()

    def complete(self, result: JobResult) -> JobResult:
        """Return a job's result with the state of its run store added; code 0 if it is complete."""
        if self._path is None:
            return result
        message, path = result.message, self._path
        now = self._state()
        if now is None:
            return replace(result, message=f"{message}; nothing was recorded")
        try:
            reader = StoreReader(path, skip_damaged_attempts=True)
            saved = generations(path)
        except StoreError as error:
            return replace(result, message=f"{message}; the run cannot be read: {error}")
        if now == self._before and (reader.complete or self._options.overwrite):
            return replace(result, message=f"{message}; {path} is unchanged")
        if reader.complete:
            time_ms = reader.complete_step * reader.dt
            return JobResult(0, f"{message}; {path} is complete: {time_ms:g} ms")
        if saved:
            then = f"saved, continue with: {resume_command(self._options)}"
        else:
            then = "it was never saved, and must be started again"
        return replace(result, message=f"{message}; {path} is not complete; {then}")

    def _state(self) -> tuple[int, int] | None:
        # Completion is written last, into this file.
        try:
            status = (self._path / "zarr.json").stat() if self._path is not None else None
        except OSError:
            return None
        return None if status is None else (status.st_ino, status.st_mtime_ns)
