"""One writer for a run store: a lock that a process holds until it ends."""

import errno
import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from distsnn.errors import StoreError
from distsnn.io.zarr_nodes import store_errors

# File systems without locks, and folders in which no lock can be created: other writers are unknown
# there.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_NO_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)
_POLL = 0.5  # s

# Held locks. A forked child would hold them too, even after this process has ended.
_held_locks: "set[RunLock]" = set()


def _close_in_child() -> None:
    while _held_locks:
        os.close(_held_locks.pop()._descriptor)


os.register_at_fork(after_in_child=_close_in_child)


class RunLock:
    """A lock on the path of a store, held until it is released or its process ends.

    The lock is a hidden file beside the store, because the store may be replaced; missing parent
    folders are created.

    Parameters
    ----------
    store : str or PathLike
        The store; it need not exist.
    timeout_s : float
        Maximum time to wait for another process to release the lock.

    Raises
    ------
    StoreError
        If another process still holds the lock; the message names it.
    """

    def __init__(self, store: str | os.PathLike[str], timeout_s: float = 0.0) -> None:
        target = Path(store).resolve()
        self._path = target.with_name(f".{target.name}.lock")
        with store_errors(target, "cannot be created"):
            target.parent.mkdir(parents=True, exist_ok=True)
        with store_errors(target, "cannot be locked"):
            try:
                self._take_soon(target, timeout_s)
            except OSError as error:
                if error.errno in _NO_FILE:
                    return
                raise
            owner = f"process {os.getpid()} on {socket.gethostname()}"
            try:
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, owner.encode(), 0)
            except OSError:  # for example, a full disk
                self.release()
                raise

    def _take_soon(self, target: Path, patience_s: float) -> None:
        """Open and lock the file when no other process holds the lock."""
        give_up = time.monotonic() + patience_s
        while True:
            try:
                if self._acquire(target):
                    return
            except StoreError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_POLL)

    def _acquire(self, target: Path) -> bool:
        """Open and lock the file; return whether the file still has this name."""
        # a link could redirect the write to another file
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(descriptor, 200, 0).decode(errors="replace")
                raise StoreError(
                    f"is being written by {owner or 'another process'}", path=str(target)
                ) from None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            path, opened = self._path, os.fstat(descriptor)
            is_same = path.exists() and os.path.samestat(path.lstat(), opened)
        except BaseException:
            os.close(descriptor)
            raise
        if is_same:
            self._descriptor = descriptor
            _held_locks.add(self)
        else:  # its last owner removed it after it was opened and before it was locked
            os.close(descriptor)
        return is_same

    def release(self) -> None:
        """Release the lock; a second call has no effect."""
        if self in _held_locks:
            # unlinked while it is held: a process that has already opened it notices. In a folder
            # that became read-only the unlocked file remains, which is harmless, and the error that
            # ended the run must not be replaced.
            with suppress(OSError):
                self._path.unlink()
            _held_locks.remove(self)
            os.close(self._descriptor)
