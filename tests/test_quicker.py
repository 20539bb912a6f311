"""What is done to the compiler changes no result: how copies are made, not even the machine code."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
from numba import njit
from numba.core.codegen import JITCPUCodegen
from numba.core.ir import Loc, Scope

from monitor import quicker
from monitor.quicker import compile_quicker

SOURCE = """
@njit(inline="always")
def least(a, b):
    found = a
    if b < found:
        found = b
    return found

@njit(inline="always")
def within(number, low, high):
    found = least(number, high)
    if found < low:
        found = low
    return found

@njit
def total(numbers, low, high):
    found = 0
    for number in numbers:
        found += within(number, low, high) + within(-number, low, high)
    return found
"""
NUMBERS = tuple(range(-7, 9))


@pytest.fixture(autouse=True)
def _quicker() -> None:
    compile_quicker()


def compiled() -> Any:
    names: dict[str, Any] = {"njit": njit}
    exec(SOURCE, names)  # noqa: S102 - anew each time: what was compiled once stays
    return names["total"]


def machine_code(kernel: Any) -> str:
    """Without what differs from one compilation of the same source to the next: numbers of versions, addresses."""
    [code] = kernel.inspect_asm().values()
    return re.sub(r"v\d+B\d+c\w*|\b\d{9,}\b|0x[0-9a-f]+", "", code)


def test_an_inlined_function_becomes_the_same_machine_code_as_with_the_compilers_own_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = compiled()
    got = ours(NUMBERS, -3, 4)
    monkeypatch.delattr(Scope, "__deepcopy__")
    theirs = compiled()
    assert theirs(NUMBERS, -3, 4) == got == sum(max(-3, min(n, 4)) + max(-3, min(-n, 4)) for n in NUMBERS)
    assert machine_code(ours) == machine_code(theirs)


def test_what_is_defined_in_a_copy_is_not_in_the_original() -> None:
    make: Any = Scope
    place: Any = Loc("here", 1)  # type: ignore[no-untyped-call]
    scope = make(None, place)
    scope.define("old", place)
    copied = deepcopy(scope)
    copied.redefine("old", place)
    copied.define("new", place)
    assert list(scope.localvars._con) == ["old"]
    assert list(copied.localvars._con) == ["old", "old.1", "new"]
    assert not scope.redefined
    assert not scope.var_redefinitions


def test_the_compilers_own_passes_run_on_what_is_simpler(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    codegen_class: Any = JITCPUCodegen
    usual = codegen_class._function_pass_manager.usual

    def counting(codegen: Any, **options: Any) -> Any:
        found, builder = usual(codegen, **options)
        seen = type("Seen", (), {"run": lambda _, function, builder: _run(found, function, builder)})
        return seen(), builder

    def _run(found: Any, function: Any, builder: Any) -> Any:
        if "total" in function.name:
            blocks.append(sum(1 for _ in function.blocks))
        return found.run(function, builder)

    monkeypatch.setattr(JITCPUCodegen, "_function_pass_manager", counting)
    result = compiled()(NUMBERS, -3, 4)
    alone, blocks = blocks, []
    compile_quicker()
    assert compiled()(NUMBERS, -3, 4) == result
    assert len(blocks) == len(alone) > 0
    assert sum(blocks) < sum(alone)


def test_twice_is_once() -> None:
    before = JITCPUCodegen._function_pass_manager
    compile_quicker()
    assert JITCPUCodegen._function_pass_manager is before


def test_this_compilers_tables_of_names_are_known() -> None:
    """Fails with a numba that has other ones: then nothing breaks, and all compiles slower; look at `_copied` again."""
    assert Scope.__dict__.get("__deepcopy__") is quicker._copied


class MoreInIt(Scope):
    def __init__(self, parent: Any, loc: Any) -> None:
        super().__init__(parent, loc)  # type: ignore[no-untyped-call]
        self.more = dict[str, int]()


class MadeOtherwise(Scope):
    def __init__(self, parent: Any, loc: Any, more: Any) -> None:
        super().__init__(parent, loc)  # type: ignore[no-untyped-call]
        self.more = more


class OtherTable(Scope):
    def __init__(self, parent: Any, loc: Any) -> None:
        super().__init__(parent, loc)  # type: ignore[no-untyped-call]
        self.localvars: Any = dict[str, Any]()


class CopiesItself(Scope):
    def __deepcopy__(self, memory: dict[int, Any]) -> CopiesItself:
        return self


@pytest.mark.parametrize("other", [MoreInIt, MadeOtherwise, OtherTable, CopiesItself])
def test_another_compilers_tables_are_left_alone(monkeypatch: pytest.MonkeyPatch, other: type[Scope]) -> None:
    before = vars(other).get("__deepcopy__")
    monkeypatch.setattr(quicker, "Scope", other)
    compile_quicker()
    assert vars(other).get("__deepcopy__") is before
