"""Folders of the user's cache, with files that are verified before use.

The files are code that runs as this user. So the folder and the folder around it must belong to
this user, and only this user may write to them. A file begins with a checksum: a truncated or
corrupt file is reported, made again and replaced.
"""

import contextlib
import hashlib
import os
import pwd
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from distsnn.errors import UsageError

_VARIABLE = "DISTSNN_CACHE_DIR"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Suffix of a file being written, and the age, s, after which it is abandoned. Processes of other
# machines that share the folder cannot be checked.
_PARTIAL = ".partial"
_OLD = 24 * 3600.0


def base_directory() -> Path:
    """Return ``$DISTSNN_CACHE_DIR``; without the variable, a folder of the user's own cache.

    It lies under ``$XDG_CACHE_HOME`` or ``~/.cache``, also where the variable is empty.

    Raises
    ------
    UsageError
        If this user has no home.
    """
    named = os.environ.get(_VARIABLE)
    base = Path(named or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/distsnn")
    try:
        return base.expanduser().absolute()
    except RuntimeError as error:  # as in a container
        raise _not_writable(base, "this user has no home folder") from error


def make_directory(name: str) -> Path:
    """Return a folder in `base_directory`; create it if it is missing.

    Raises
    ------
    UsageError
        If nothing can be written there, or if another user could write there.
    """
    path = base_directory() / name
    try:
        if not os.environ.get(_VARIABLE):
            _take_from_group(path.parent)
        with _opened(path) as folder:
            tempfile.TemporaryFile(dir=path).close()
            _remove_partial_files(folder)
    except OSError as error:
        raise _not_writable(path, error.strerror) from error
    return path


def _not_writable(path: Path, reason: str | None) -> UsageError:
    return UsageError(
        f"the cache of kernels cannot be written ({reason})",
        where=str(path),
        allowed=f"a folder that can, named by the environment variable {_VARIABLE}",
    )


def binary_head(content: bytes) -> bytes:
    """Return what a file of machine code begins with: a name and the checksum."""
    return b"distsnn kernel 1\n" + hashlib.sha256(content).digest()


def text_head(content: bytes) -> bytes:
    """Return the first line of a file of Python code: a comment with the checksum."""
    checksum = hashlib.sha256(content).hexdigest()
    return f"# distsnn, SHA-256 of the following lines: {checksum}\n".encode()


@dataclass(frozen=True)
class CacheFolder:
    """A folder of the cache.

    Parameters
    ----------
    path : Path
        The folder, of `make_directory`.
    contents, remedy : str
        For messages: what a file contains, and what happens if it is not usable.
    head : callable
        What a file with some content begins with.
    """

    path: Path
    contents: str
    remedy: str
    head: Callable[[bytes], bytes]

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it is missing or, with a message, unusable."""
        try:
            with _opened(self.path) as descriptor:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=descriptor)
                with os.fdopen(file, "rb") as opened:
                    status, data = os.fstat(file), opened.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        else:
            content = data[len(self.head(b"")) :]
            if status.st_uid != os.geteuid() or status.st_mode & _WRITABLE_BY_OTHERS:
                # planted while others could still write to the folder
                problem = "could have been written by another user"
            elif data == self.head(content) + content:
                return content
            else:
                problem = f"is corrupt: its checksum does not match its {len(data):,} bytes"
        sys.stderr.write(
            f"distsnn: {self.path / name}: this file of {self.contents} {problem}; {self.remedy}\n"
        )
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one atomic step: other ranks may read or write it now.

        Raises
        ------
        UsageError
            If it cannot be written, for example because the disk is full.
        """
        try:
            self._write(name, content)
        except OSError as error:
            raise _not_writable(self.path / name, error.strerror) from error

    def _write(self, name: str, content: bytes) -> None:
        partial = f"{name}.{uuid.uuid4().hex}{_PARTIAL}"
        create = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with _opened(self.path) as folder:
            file = os.open(partial, create, 0o600, dir_fd=folder)
            try:
                with os.fdopen(file, "wb") as opened:
                    opened.write(self.head(content))
                    opened.write(content)
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(partial, dir_fd=folder)
                raise


def _remove_partial_files(folder: int) -> None:
    """Remove files that processes were writing when they were killed, at least a day ago."""
    for name in os.listdir(folder):
        if name.endswith(_PARTIAL):
            # another rank may be faster, or is just completing its file
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.stat(name, dir_fd=folder).st_mtime > _OLD:
                    os.unlink(name, dir_fd=folder)


def _take_from_group(folder: Path) -> None:
    """Take the group's write permission from the default folder, if it was made with umask 002.

    A file that another user could have left there is refused by its owner.
    """
    with contextlib.suppress(FileNotFoundError):
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            mode = stat.S_IMODE(status.st_mode)
            if mode & _WRITABLE_BY_OTHERS == stat.S_IWGRP:
                folder.chmod(mode & ~stat.S_IWGRP)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the cache folder, created if missing, and check it and its parent.

    Files are reached through the descriptor, so that a folder that another process puts in the
    place of a checked folder is not used.

    Raises
    ------
    UsageError
        If another user owns one of the two folders or may write to it.
    """
    outer = _open_folder(path.parent, None)
    try:
        inner = _open_folder(path, outer)
    finally:
        os.close(outer)
    try:
        yield inner
    finally:
        os.close(inner)


def _open_folder(path: Path, parent: int | None) -> int:
    # The user names the outer folder, which may be a link; the inner folder is never a link.
    name = path if parent is None else path.name
    if parent is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    link = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISLNK(link.st_mode):
        if parent is not None or link.st_uid not in (os.geteuid(), 0):
            raise _refusal(path, "is a link that another user could have made", link)
        _check(path, path.stat())
    else:
        _check(path, link)
    no_link = 0 if parent is None else os.O_NOFOLLOW
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | no_link, dir_fd=parent)
    try:
        _check(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise _refusal(path, "belongs to another user", status)
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise _refusal(path, "can be written by other users", status)


def _refusal(path: Path, problem: str, status: os.stat_result) -> UsageError:
    return UsageError(
        f"the folder of kernels {problem}, so its code is not run",
        where=str(path),
        value=f"owner {_user(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}",
        allowed=f"a folder of {_user(os.geteuid())} that group and others cannot write, such as a "
        f"new folder with mode 0700, named by the environment variable {_VARIABLE}",
    )


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:  # as in a container
        return str(uid)
