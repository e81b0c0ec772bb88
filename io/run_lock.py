"""One writer for a run's store: a lock that its process holds and that its death gives back."""

import errno
import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from distsnn.errors import StoreError
from distsnn.io.nodes import store_errors

# File systems without locks, and folders in which none can be made: nothing is known of other
# writers there.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_NO_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)
_POLL = 0.5  # s

# Locks that are held. A child that a script forks would hold them too, and on after this process
# has died.
_HELD: "set[RunLock]" = set()


def _let_go() -> None:
    while _HELD:
        os.close(_HELD.pop()._descriptor)


os.register_at_fork(after_in_child=_let_go)


class RunLock:
    """A lock on the path of a store, held until it is released or its process ends.

    It is a hidden file beside the store, as the store itself may be replaced; missing parent
    folders are made.

    Parameters
    ----------
    store : str or PathLike
        The store; it need not exist.
    patience_s : float
        How long to wait for another process to give it back.

    Raises
    ------
    StoreError
        If another process holds it still; it is named.
    """

    def __init__(self, store: str | os.PathLike[str], patience_s: float = 0.0) -> None:
        target = Path(store).resolve()
        self._path = target.with_name(f".{target.name}.lock")
        with store_errors(target, "cannot be created"):
            target.parent.mkdir(parents=True, exist_ok=True)
        with store_errors(target, "cannot be locked"):
            try:
                self._take_soon(target, patience_s)
            except OSError as error:
                if error.errno in _NO_FILE:
                    return
                raise
            owner = f"process {os.getpid()} on {socket.gethostname()}"
            try:
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, owner.encode(), 0)
            except OSError:  # as on a full disk
                self.release()
                raise

    def _take_soon(self, target: Path, patience_s: float) -> None:
        """Open and lock the file, as soon as no other process has it."""
        give_up = time.monotonic() + patience_s
        while True:
            try:
                if self._take(target):
                    return
            except StoreError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_POLL)

    def _take(self, target: Path) -> bool:
        """Open and lock the file; return whether it still is the one of this name."""
        # whoever put a link there wants another file to be written
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
            there, mine = self._path, os.fstat(descriptor)
            same = there.exists() and os.path.samestat(there.lstat(), mine)
        except BaseException:
            os.close(descriptor)
            raise
        if same:
            self._descriptor = descriptor
            _HELD.add(self)
        else:  # its last owner has removed it between our opening and locking it
            os.close(descriptor)
        return same

    def release(self) -> None:
        """Give the lock back; doing so again does nothing."""
        if self in _HELD:
            # unlinked while it is held: whoever has opened it already finds that it is gone. In a
            # folder that became read-only it stays: unlocked it hinders nobody, and the error that
            # ended the run must not be replaced.
            with suppress(OSError):
                self._path.unlink()
            _HELD.remove(self)
            os.close(self._descriptor)
