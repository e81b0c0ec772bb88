"""Where a run is, or is to be: checked before ranks are started, and by the first of them."""

import os
from pathlib import Path

from distsnn.errors import UsageError
from distsnn.io.run_writer import check_output_path, same_path
from distsnn.io.zarr_nodes import open_root, store_errors

RunPath = str | os.PathLike[str] | None


def check_run_path(*, out: RunPath, resume: RunPath, overwrite: bool) -> None:
    """Check the run's path before ranks are started: the first of them checks it under the lock."""
    if resume is not None:
        resume_path(out, resume, overwrite=overwrite)
    elif out is not None:
        check_output_path(out, overwrite=overwrite)


def resume_path(out: RunPath, resume: str | os.PathLike[str], *, overwrite: bool) -> str:
    """Return the path of the run that is to be resumed.

    Parameters
    ----------
    out : str, PathLike or None
        Run store to record to.
    resume : str or PathLike
        The run; ``"auto"`` is `out`, which need not exist.
    overwrite : bool
        Whether the run is to be replaced, which excludes `resume`.

    Raises
    ------
    UsageError
        If the arguments exclude each other.
    StoreError
        If the path cannot be read or written, or holds no run.
    """
    if overwrite:
        raise UsageError("resume and overwrite exclude each other", where="resume")
    if resume == "auto":
        if out is None:
            raise UsageError(
                "the run to look for is missing", where="resume auto", hint="set `out` (--out RUN)"
            )
        # an error in the path has the same message as without resume
        if not path_exists(out):
            check_output_path(out)
        return os.fspath(out)
    if out is not None and not same_path(out, resume):
        raise UsageError(
            "a resumed run is recorded where it was", where="out", value=os.fspath(out)
        )
    open_root(Path(resume))  # or a lock, and folders for it, are made where no run is
    return os.fspath(resume)


def path_exists(path: str | os.PathLike[str]) -> bool:
    """Return whether something exists at a path (StoreError if that cannot be found out)."""
    with store_errors(path, "cannot be read"):
        return Path(path).exists()
