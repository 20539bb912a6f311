"""How the engine's kernels are compiled: as `detectors.compiling` says, some of them into each caller.

Counting the two dozen arrays of `World` at every call inside the loop cost ten times the work itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as untyped
from numba.extending import intrinsic

from detectors.compiling import OPTIONS, kernel
from monitor.quicker import compile_quicker

__all__ = ["cgutils", "inlined", "kernel", "natural", "prefetch", "whole"]

# Fields of records are unsigned: arithmetic on times is done in these.
whole: Any = np.int64
cgutils: Any = untyped
_tuple: Any = types.UniTuple
F = TypeVar("F", bound=Callable[..., Any])
compile_quicker()  # whichever process compiles a kernel, it comes out the same


def _prefetch(_typing: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line of `array[index]` and does not wait: loads of a group of rows overlap.

    `index` is a tuple with one number a dimension.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        place = cgutils.get_item_pointer(
            context,
            builder,
            kind,
            context.make_array(kind)(context, builder, arguments[0]),
            cgutils.unpack_tuple(builder, arguments[1]),
        )
        word = ir.IntType(32)
        address = builder.bitcast(place, cgutils.voidptr_t)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [cgutils.voidptr_t],
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word]),
        )
        to_write, keep, data = 1, 3, 1
        builder.call(function, [address, word(to_write), word(keep), word(data)])
        return context.get_dummy_value()

    return types.void(array, _tuple(types.intp, len(index))), generate


prefetch: Any = intrinsic(_prefetch)


def inlined(function: F) -> F:
    """For what runs for every event: never a call."""
    compiled: F = njit(inline="always", **OPTIONS)(function)
    return compiled


@inlined
def natural(number: int) -> int:
    """The same number, which is not negative: an index that may be costs three instructions more at every access."""
    return number & 0x7FFF_FFFF_FFFF_FFFF
