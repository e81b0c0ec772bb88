"""The disk cache of compiled kernels: its folder, and files that are verified before use.

numba unpickles a cache file, and its machine code runs as this user. So the folder and the folder
around it must belong to this user, and only this user may write to them. A file begins with a
checksum: a truncated or corrupt file is reported, compiled again and replaced.
"""

import contextlib
import hashlib
import importlib.util
import linecache
import os
import pickle
import pwd
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    UserProvidedCacheLocator,
)
from numba.core.serialize import dumps
from numba.np import linalg

from distsnn.errors import DescriptionError

_PACKAGE = Path(__file__).parent
# Files whose functions other files compile into machine code. A generated kernel is named by its
# text, which includes a digest of its model's files.
_SOURCES = (
    *("jit.py", "counter_rng.py", "kernels/*.py"),
    *("comm/exchange_entries.py", "comm/group_entries.py"),
)
_VARIABLE = "DISTSNN_CACHE_DIR"
_HEADER = b"distsnn kernel 1\n"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Suffix of a file being written, and the age, s, after which it is abandoned. Processes of other
# machines that share the folder cannot be checked.
_PARTIAL = ".partial"
_OLD = 24 * 3600.0
# A file name has at most 255 bytes; the rest is a hash and the suffix.
_LONGEST_STEM = 150


def hashed_files() -> list[Path]:
    """Return the package's files that the fingerprint covers."""
    return [path for pattern in _SOURCES for path in sorted(_PACKAGE.glob(pattern))]


@cache
def fingerprint() -> str:
    """Return a hash of all that decides a kernel's machine code.

    numba's own cache misses an edit in *another* file than the cached function's; a folder named
    by this hash cannot be stale.
    """
    digest = hashlib.sha256()
    for path in hashed_files():
        digest.update(path.relative_to(_PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    target = (
        sys.version,
        np.__version__,
        numba.__version__,
        llvmlite.__version__,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        *sorted(
            f"{key}={value}"
            for key, value in os.environ.items()
            if key.startswith("NUMBA_") and key != "NUMBA_CACHE_DIR"
        ),
    )
    digest.update(repr(target).encode())
    return digest.hexdigest()[:24]


@cache
def cache_directory() -> Path:
    """Return the folder of compiled kernels, ``$DISTSNN_CACHE_DIR/<fingerprint>``; create it.

    Without the variable (or where it is empty) it lies under ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    DescriptionError
        If nothing can be written there, or if another user could write there.
    """
    named = os.environ.get(_VARIABLE)
    base = Path(named or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/distsnn")
    path = base.expanduser().absolute() / fingerprint()
    try:
        if not named:
            _take_from_group(path.parent)
        with _opened(path) as folder:
            tempfile.TemporaryFile(dir=path).close()
            _remove_partial_files(folder)
    except OSError as error:
        raise DescriptionError(
            f"the cache of compiled kernels cannot be written ({error.strerror})",
            where=str(path),
            allowed=f"a folder that can, named by the environment variable {_VARIABLE}",
        ) from error
    return path


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


def any_compiled() -> bool:
    """Return whether the cache holds any kernel: if not, compiling takes a while."""
    return next(cache_directory().glob("*.nbc"), None) is not None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the cache folder, created if missing, and check it and its parent.

    Files are reached through the descriptor, so that a folder that another process puts in the
    place of a checked folder is not used.

    Raises
    ------
    DescriptionError
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


def _refusal(path: Path, problem: str, status: os.stat_result) -> DescriptionError:
    return DescriptionError(
        f"the folder of compiled kernels {problem}, so its code is not run",
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


def _read(name: str) -> bytes | None:
    """Return the content of a cache file; None if it is missing or, with a message, unusable."""
    folder = cache_directory()
    try:
        with _opened(folder) as descriptor:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=descriptor)
            with os.fdopen(file, "rb") as opened:
                status, data = os.fstat(file), opened.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        content = data[len(_HEADER) + hashlib.sha256().digest_size :]
        if status.st_uid != os.geteuid() or status.st_mode & _WRITABLE_BY_OTHERS:
            # planted while others could still write to the folder
            problem = "could have been written by another user"
        elif data == _head(content) + content:
            return content
        else:
            problem = f"is corrupt: its checksum does not match its {len(data):,} bytes"
    sys.stderr.write(
        f"distsnn: {folder / name}: this file of compiled kernels {problem}; "
        "the kernel is compiled again\n"
    )
    return None


def _write(name: str, content: bytes) -> None:
    """Write a cache file in one atomic step: other ranks may read or write it now."""
    partial = f"{name}.{uuid.uuid4().hex}{_PARTIAL}"
    create = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    with _opened(cache_directory()) as folder:
        file = os.open(partial, create, 0o600, dir_fd=folder)
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(_head(content))
                opened.write(content)
            os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(partial, dir_fd=folder)
            raise


def _head(content: bytes) -> bytes:
    return _HEADER + hashlib.sha256(content).digest()


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]
    """Identifies a function's source, which may be text without a file."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        self._globals = py_func.__globals__
        self._cache_path = str(cache_directory())

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls(py_func, py_file)

    def ensure_cache_path(self) -> None:
        """Do nothing: the folder is created and checked at each access."""

    def get_source_stamp(self) -> tuple[str, str]:
        linecache.checkcache(self._py_file)
        text = "".join(linecache.getlines(self._py_file, self._globals))
        return str(Path(self._py_file).parent), hashlib.sha256(text.encode()).hexdigest()


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Files:
    """The files of one function, one per signature, in the place of numba's index and data files.

    A hash of signature and source names the file: ranks that compile several signatures at the
    same time share no index, and cannot overwrite each other's entries.
    """

    def __init__(self, stem: str, stamp: tuple[str, str]) -> None:
        self._stem, self._stamp = stem[:_LONGEST_STEM], stamp

    def load(self, key: Any) -> Any:
        content = _read(self._name(key))
        if content is None:
            return None
        stored, data = pickle.loads(content)
        # types of one name need not be equal
        return data if stored == (self._stamp, key) else None

    def save(self, key: Any, data: Any) -> None:
        _write(self._name(key), dumps(((self._stamp, key), data)))

    def _name(self, key: Any) -> str:
        digest = hashlib.sha256(repr((self._stamp, key)).encode()).hexdigest()
        return f"{self._stem}.{digest[:20]}.nbc"


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, in files that are verified before they are unpickled.

    Raises
    ------
    DescriptionError
        If the cache folder cannot be used.
    """

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function of a signature, or None."""
        _import_array_functions()
        return super().load_overload(sig, target_context)


@cache
def _import_array_functions() -> None:
    """Import numba's array functions without scipy.

    numba imports scipy's linear algebra with them to see whether it is there, which takes every
    process a tenth of its start. A function that needs it imports it when it is compiled.
    """
    check = linalg.ensure_blas
    if "numba.np.arraymath" in sys.modules or importlib.util.find_spec("scipy") is None:
        return
    linalg.ensure_blas = lambda: None
    try:
        arraymath: Any = importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = check
    arraymath.ensure_blas = check
