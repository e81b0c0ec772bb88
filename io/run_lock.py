"""A run is recorded by one job at a time: rank 0 locks the store's folder while it goes on.

The lock is the system's (flock), so it ends with the process, however that ends, and leaves nothing
behind. Where a file system has none, such as some Lustre mounts, nothing is guarded.
"""

import errno
import fcntl
import os
from pathlib import Path

from distsnn.errors import StoreError
from distsnn.io.nodes import open_group, open_root, read_attributes, store_errors
from distsnn.io.schema import attempt_path, rank_path


class RunLock:
    """The lock of a run's store, held from now on.

    Parameters
    ----------
    path : Path
        The store.

    Raises
    ------
    StoreError
        If another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        with store_errors(path, "cannot be opened"):
            descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"{_owner(path)} is recording it", path=str(path)) from error
            return
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()


def check_free(path: str | os.PathLike[str]) -> None:
    """Raise StoreError if another process is recording a run."""
    RunLock(Path(path)).release()


def _owner(path: Path) -> str:
    root, attempt = open_root(path), 0
    while open_group(root, attempt_path(attempt + 1)) is not None:
        attempt += 1
    group = open_group(root, rank_path(attempt, 0))
    if group is None:
        return "another process"
    about = read_attributes(group)
    return f"process {about.get('pid', '?')} on {about.get('host', '?')}"
