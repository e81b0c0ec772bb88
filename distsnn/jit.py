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

import gc
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import numba
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from distsnn.kernel_cache import KernelCache

Function = Callable[..., Any]

FLAGS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": False}

ENTRY = types.int64(
    types.CPointer(types.int64),
    types.CPointer(types.float64),
    types.int64,
    types.int64,
    types.int64,
)


def kernel(function: Function) -> Function:
    """Compile a function over arrays and scalars, cached on disk."""
    compiled = numba.njit(**FLAGS)(function)
    compiled._cache = KernelCache(function)
    return cast(Function, compiled)


def subroutine(function: Function) -> Function:
    """Compile a function that only kernels call, into the machine code of each of them."""
    return _for_kernels(function)


def inline(function: Function) -> Function:
    """Compile a small function that its callers' machine code absorbs, always.

    Left to itself LLVM stops inlining in large callers, and a loop with a call is not vectorised.
    """
    return _for_kernels(function, forceinline=True)


def _for_kernels(function: Function, **options: bool) -> Function:
    """Compile a function without its wrapper for calls from Python, which takes longer to compile.

    Called from Python it runs uncompiled.
    """
    compiled = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **FLAGS, **options)(
        function
    )
    # Kernels find compiled signatures here; Python would jump to an address that does not exist.
    compiled.add_overload = lambda made: compiled.overloads.update({made.signature.args: made})
    compiled._compile_for_args = lambda *arguments, **named: function
    return cast(Function, compiled)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause garbage collection, as while kernels are compiled or loaded.

    Both make very many objects that stay, and each collection would look at all of them again: a
    seventh of the time.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


class KernelEntry:
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
        signature = (ENTRY.args, ENTRY.return_type)
        compiled = CFunc(self.function, signature, locals={}, options=dict(FLAGS))
        compiled._cache = KernelCache(self.function)
        compiled.compile()
        return compiled

    @property
    def address(self) -> int:  # noqa: D102 (documented as an attribute)
        return int(self._compiled.address)


def kernel_entry(function: Callable[..., int]) -> KernelEntry:
    """Declare a function of the entry signature (lazily compiled, cached on disk)."""
    return KernelEntry(function)


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
