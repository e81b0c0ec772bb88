"""Where the run of ``distsnn run`` is, or is to be, and the command that continues it."""

import shlex
from argparse import Namespace
from pathlib import Path

from distsnn.errors import UsageError
from distsnn.io.run_writer import check_output_path, same_path
from distsnn.io.zarr_nodes import open_root, store_errors


def check_run_path(options: Namespace) -> None:
    """Check the run's path before ranks are started: the first of them checks it under the lock."""
    if options.resume is not None:
        resume_path(options)
    elif options.out is not None:
        check_output_path(options.out, overwrite=options.overwrite)


def resume_path(options: Namespace) -> str:
    """Return where the run is, or is to be, that --resume asks for."""
    if options.overwrite:
        raise UsageError("--resume and --overwrite exclude each other", where="--resume")
    if options.resume == "auto":
        if options.out is None:
            raise UsageError(
                "the run to look for is missing", where="--resume auto", hint="set --out RUN"
            )
        # an error in the path has the same message as without --resume
        if not path_exists(options.out):
            check_output_path(options.out)
        return str(options.out)
    if options.out is not None and not same_path(options.out, options.resume):
        raise UsageError("a resumed run is recorded where it was", where="--out", value=options.out)
    open_root(Path(options.resume))  # or a lock, and folders for it, are made where no run is
    return str(options.resume)


def path_exists(path: str) -> bool:
    """Return whether something exists at a path (StoreError if that cannot be found out)."""
    with store_errors(path, "cannot be read"):
        return Path(path).exists()


def resume_command(options: Namespace) -> str:
    """Return the command that continues a run of these options, which was saved."""
    words = [word for word in options.words if word != "--overwrite"]
    resume = [] if options.resume is not None else ["--resume", options.out]
    return shlex.join(["distsnn", *words, *resume])
