"""``distsnn run``: simulate a model on the ranks of this job, or on ranks started for it."""

import shlex
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.cli.tables import run_lines
from distsnn.comm import REPORTED_EXIT_CODES, Communicator, JobResult, detect_launcher, launch
from distsnn.comm.supervision.heartbeat import start_timeout
from distsnn.errors import Interrupted, Stopped, StoreError, UsageError
from distsnn.io.checkpoint_files import generations
from distsnn.io.reader import StoreReader
from distsnn.tools.run_paths import check_run_path
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
        call_function(check_run_path, options)
        # Each rank builds the network for itself, from the same command line.
        code = launch(
            options.ranks,
            options.words,
            start_timeout_s=start_timeout(options.heartbeat_timeout),
            oversubscribe=options.oversubscribe,
            complete_result=_Result(options).complete,
        )
        return code if code in REPORTED_EXIT_CODES else 1
    return _run(options, communicator)


def _run(options: Namespace, communicator: Communicator) -> int:
    # with numba, which takes a second to import: the process that starts ranks does not need it
    from distsnn.simulation import RunPolicy
    from distsnn.tools.runs import run_model

    with option_errors(options):
        policy = RunPolicy(
            checkpoint_every=options.checkpoint_every,
            checkpoint_wall_time=options.checkpoint_wall_time,
            wall_limit=options.wall_limit,
            max_rate=options.max_rate,
            heartbeat_timeout=options.heartbeat_timeout,
        )
    others = {"settings": options.set, "policy": policy, "progress": not options.quiet}
    try:
        run = call_function(run_model, options, options.model, communicator=communicator, **others)
    except (Interrupted, Stopped) as error:
        if error.command is not None:
            error.command = _resume_command(options)
        raise
    if communicator.rank == 0 and not options.quiet:
        if run.summary is None:
            print(f"{run.title} is complete: {run.time_ms:g} ms")
        else:
            print("\n".join(run_lines(run.title, run.summary)))
    return 0


def _resume_command(options: Namespace) -> str:
    """Return the command that continues a run of these options, which was saved."""
    words = [word for word in options.words if word != "--overwrite"]
    resume = [] if options.resume is not None else ["--resume", options.out]
    return shlex.join(["distsnn", *words, *resume])


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
            then = f"saved, continue with: {_resume_command(self._options)}"
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
