"""How kernels are compiled.

No reference counts (`_nrt=False`): kernels allocate nothing and own nothing, and counting the two dozen arrays of
`World` at every call inside the loop cost ten times the work itself. Divisions by zero are not looked for
(`error_model`): every divisor is a constant or was compared with zero, and looking cost a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as untyped
from numba.extending import intrinsic

# Fields of records are unsigned: arithmetic on times is done in these.
whole: Any = np.int64
cgutils: Any = untyped
_tuple: Any = types.UniTuple
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    compiled: F = njit(**_OPTIONS)(function)
    return compiled


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
    compiled: F = njit(inline="always", **_OPTIONS)(function)
    return compiled


@inlined
def natural(number: int) -> int:
    """The same number, which is not negative: an index that may be costs three instructions more at every access."""
    return number & 0x7FFF_FFFF_FFFF_FFFF
