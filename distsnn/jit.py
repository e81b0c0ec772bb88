"""The only place that sets numba's flags and cache; addresses, prefetch and clock for kernels.

Kernels come in two kinds. A *kernel* (`kernel`) is an ordinary compiled function over arrays and
scalars. An *entry* (`entry`) has the one C-like signature that the compiled loop calls by address,

    status = entry(table, scalars, first, last, step)

with a table of array addresses and integers (int64), a table of scalars (float64), an index range
and the loop index. Each entry is compiled and cached alone, so that adding one recompiles nothing.

fastmath, contraction and parallel reductions stay off: the bits of a result must not depend on the
machine or on how the work was cut up. Division follows numpy (no zero check), or no loop with a
division would be vectorised.
"""

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from distsnn.errors import DescriptionError

Function = Callable[..., Any]

FLAGS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": False}

ENTRY = types.int64(
    types.CPointer(types.int64),
    types.CPointer(types.float64),
    types.int64,
    types.int64,
    types.int64,
)

_PACKAGE = Path(__file__).parent
# Every file whose text can end up in machine code. A neuron's ends up in its generated updates
# alone, whose names tell of it: a new model leaves all that is compiled as it is.
_SOURCES = (
    *("jit.py", "counter_rng.py", "kernels/*.py", "kernels/synapses/*.py"),
    *("codegen/**/*.py", "comm/**/*.py"),
)


@cache
def fingerprint() -> str:
    """Return a hash of all that decides a kernel's machine code.

    numba's own cache misses an edit in *another* file than the cached function's; a folder named
    by this hash cannot be stale.
    """
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
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
    """Return (and create) the folder of compiled kernels: ``$DISTSNN_CACHE_DIR/<fingerprint>``.

    Without the variable (or where it is empty) it lies under ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    DescriptionError
        If nothing can be written there.
    """
    base = os.environ.get("DISTSNN_CACHE_DIR")
    if not base:
        base = f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/distsnn"
    path = Path(base).expanduser() / fingerprint()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise DescriptionError(
            f"the cache of compiled kernels cannot be written ({error.strerror})",
            where=str(path),
            allowed="a folder that can, named by the environment variable DISTSNN_CACHE_DIR",
        ) from error
    return path


def any_compiled() -> bool:
    """Return whether the cache holds any kernel: if not, compiling takes a while."""
    return next(cache_directory().rglob("*.nbc"), None) is not None


def _cached(compile_: Callable[[], Any]) -> Any:
    # numba reads its cache folder when a function is decorated; another library's stays untouched.
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(cache_directory())
    try:
        return compile_()
    finally:
        config.CACHE_DIR = saved


def kernel(function: Function) -> Function:
    """Compile a function over arrays and scalars, cached on disk."""
    return cast(Function, _cached(lambda: numba.njit(cache=True, **FLAGS)(function)))


def inline(function: Function) -> Function:
    """Compile a small function that its callers' machine code absorbs, always.

    Left to itself LLVM stops inlining in large callers, and a loop with a call is not vectorised.
    """
    return cast(Function, numba.njit(forceinline=True, **FLAGS)(function))


class Entry:
    """A function of the entry signature, compiled when its address is first asked for.

    Attributes
    ----------
    address : int
        Address of the machine code.
    """

    def __init__(self, function: Callable[..., int]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    @cached_property
    def _compiled(self) -> Any:
        return _cached(lambda: numba.cfunc(ENTRY, cache=True, **FLAGS)(self.function))

    @property
    def address(self) -> int:  # noqa: D102 (documented as an attribute)
        return int(self._compiled.address)


def entry(function: Callable[..., int]) -> Entry:
    """Declare a function of the entry signature (lazily compiled, cached on disk)."""
    return Entry(function)


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@numba.njit(inline="always")
def array(address, size, dtype):
    """Return the 1-d array of `size` elements of `dtype` at an address."""
    return numba.carray(_pointer(address), size, dtype)


@intrinsic(prefer_literal=True)
def _stack_room(typing_context, words):
    size = words.literal_value

    def generate(context, builder, signature, arguments):
        with builder.goto_entry_block():  # once, also where it is asked for in a loop
            room = builder.alloca(ir.ArrayType(ir.IntType(64), size))
        room.align = 64
        return builder.bitcast(room, ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@numba.njit(inline="always")
def stack_array(size, dtype):
    """Return a 1-d array on the stack, of a constant size and a type of 8 bytes or less.

    LLVM knows that nothing else lies there, and vectorises loops over it without asking.
    """
    return numba.carray(_stack_room(size), size, dtype)


@intrinsic
def call(typing_context, function, table, scalars, first, last, step):
    """Call an entry by address: ``call(function, table, scalars, first, last, step) -> status``."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word] * 5)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(*[types.int64] * 6), generate


@intrinsic
def prefetch(typing_context, address):
    """Ask for the cache line at an address (read, into L2 and L1)."""

    def generate(context, builder, signature, arguments):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.globals.get("llvm.prefetch.p0") or ir.Function(
            builder.module, kind, "llvm.prefetch.p0"
        )
        pointer = builder.inttoptr(arguments[0], byte)
        builder.call(function, [pointer, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


# The cheapest counter that user code may read: the time-stamp counter on x86, the generic timer
# on ARM (whose cycle counter traps).
_X86 = platform.machine().lower() in {"x86_64", "amd64"}
_COUNTER = "llvm.readcyclecounter" if _X86 else "llvm.readsteadycounter"


@intrinsic
def ticks(typing_context):
    """Return a monotonic counter of unknown frequency (calibrate it against a clock)."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(64), [])
        function = builder.module.globals.get(_COUNTER) or ir.Function(
            builder.module, kind, _COUNTER
        )
        return builder.call(function, [])

    return types.int64(), generate
