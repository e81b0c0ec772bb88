"""``distsnn run``: simulate a model on the ranks of this job, or on ranks started for it."""

import shlex
from argparse import Namespace
from pathlib import Path

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.cli.tables import run_lines
from distsnn.comm import REPORTED_EXIT_CODES, Communicator, detect_launcher, launch
from distsnn.comm.supervision.heartbeat import start_timeout
from distsnn.errors import Interrupted, Stopped, UsageError
from distsnn.tools.lost_runs import add_run_state
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
        path = options.out if options.resume in (None, "auto") else options.resume
        complete_result = None
        if path is not None:
            complete_result = add_run_state(
                Path(path), overwrite=options.overwrite, resume_command=_resume_command(options)
            )
        # Each rank builds the network for itself, from the same command line.
        code = launch(
            options.ranks,
            options.words,
            start_timeout_s=start_timeout(options.heartbeat_timeout),
            oversubscribe=options.oversubscribe,
            complete_result=complete_result,
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
