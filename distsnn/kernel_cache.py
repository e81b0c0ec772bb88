"""The disk cache of compiled kernels: numba's, in files that are verified before use.

numba unpickles a cache file, and its machine code runs as this user (`cache_folder`).
"""

import hashlib
import importlib.util
import linecache
import os
import pickle
import sys
from collections.abc import Callable
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

from distsnn.cache_folder import CacheFolder, binary_head, make_directory

_PACKAGE = Path(__file__).parent
# Files whose functions other files compile into machine code. A generated kernel is named by its
# text, which includes a digest of its model's files.
_SOURCES = (
    *("jit.py", "counter_rng.py", "kernels/*.py"),
    *("comm/exchange_entries.py", "comm/group_entries.py"),
)
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

    Raises
    ------
    UsageError
        If nothing can be written there, or if another user could write there.
    """
    return make_directory(fingerprint())


def folder() -> CacheFolder:
    """Return the folder of compiled kernels."""
    remedy = "the kernel is compiled again"
    return CacheFolder(cache_directory(), "compiled kernels", remedy, binary_head)


def any_compiled() -> bool:
    """Return whether the cache holds any kernel: if not, compiling takes a while."""
    return next(cache_directory().glob("*.nbc"), None) is not None


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
        content = folder().read(self._name(key))
        if content is None:
            return None
        stored, data = pickle.loads(content)
        # types of one name need not be equal
        return data if stored == (self._stamp, key) else None

    def save(self, key: Any, data: Any) -> None:
        folder().write(self._name(key), dumps(((self._stamp, key), data)))

    def _name(self, key: Any) -> str:
        digest = hashlib.sha256(repr((self._stamp, key)).encode()).hexdigest()
        return f"{self._stem}.{digest[:20]}.nbc"


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, in files that are verified before they are unpickled.

    Raises
    ------
    UsageError
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
