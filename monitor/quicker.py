"""Kernels compile in three quarters of the time: two things of the compiler cost the square of a kernel's size.

The kernel of scans has some hundred functions in it. What it computes, and how fast, is as before.
"""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any, Final

from llvmlite.binding import create_new_function_pass_manager
from numba.core.codegen import JITCPUCodegen
from numba.core.ir import Loc, Scope

_PASSES: Final = "_function_pass_manager"
_OF_SCOPE: Final = {"parent", "localvars", "loc", "redefined", "var_redefinitions"}


def compile_quicker() -> None:
    """For all that this process compiles from now on. Twice is once; where the compiler has changed, it does nothing."""
    usual = getattr(JITCPUCodegen, _PASSES, None)
    if usual is not None and not hasattr(usual, "usual"):
        setattr(JITCPUCodegen, _PASSES, _simpler_first(usual))
    if _is_known(Scope):
        setattr(Scope, "__deepcopy__", _copied)  # noqa: B010 - to the type checker it has none


def _is_known(scope_class: Any) -> bool:
    """Whether a table of names holds what `_copied` copies, nothing less and nothing more, and has no copy of its own."""
    own = vars(scope_class).get("__deepcopy__")
    if own is not None:
        return own is _copied
    try:
        scope = scope_class(None, Loc("here", 1))  # type: ignore[no-untyped-call]
        return set(vars(scope)) == _OF_SCOPE and set(vars(scope.localvars)) == {"_con"}
    except Exception:  # noqa: BLE001 - a compiler that makes them otherwise is another one
        return False


def _copied(scope: Any, memory: dict[int, Any]) -> Any:
    """A table of its own with the same names. The usual copy, of each block of each inlined function, copies every name
    in the table and where in the source it stands.
    """
    found = memory[id(scope)] = copy(scope)
    found.localvars = copy(scope.localvars)
    found.localvars._con = dict(scope.localvars._con)  # noqa: SLF001 - the compiler's
    found.redefined = copy(scope.redefined)
    found.var_redefinitions = deepcopy(scope.var_redefinitions, memory)
    return found


def _simpler_first(usual: Any) -> Any:
    def passes(codegen: Any, **options: Any) -> tuple[_SimplerFirst, Any]:
        found, builder = usual(codegen, **options)
        return _SimplerFirst(found), builder

    passes.usual = usual  # type: ignore[attr-defined] # for who wants it back
    return passes


class _SimplerFirst:
    """The usual passes over one function, behind some cheap ones: among them is one that looks at each place where a
    value may come from, and thousands of blocks fall away before.
    """

    def __init__(self, usual: Any) -> None:
        self._usual = usual

    def run(self, function: Any, builder: Any) -> bool:
        first = create_new_function_pass_manager()
        first.add_simplify_cfg_pass()
        first.add_sroa_pass()
        first.add_instruction_combine_pass()
        first.add_simplify_cfg_pass()
        changed = first.run(function, builder)
        return bool(self._usual.run(function, builder) or changed)
