"""What is asked of arguments before a verb begins: one line each, and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from monitor.cli.output import USAGE, Failed

MOST_MONEY = 1e9
MOST_DAYS = 36_500
MOST_SEED = 2**63 - 1
_MAY_BE_EMPTY = frozenset({"--reason", "-m"})


def number(low: float, high: float) -> Callable[[typer.CallbackParam, float | None], float | None]:
    """Of an option: within both, which no number that is none is."""

    def check(param: typer.CallbackParam, value: float | None) -> float | None:
        if value is not None and not low <= value <= high:
            name = f"--{str(param.name).replace('_', '-')}"
            raise Failed(f"{name}: a number from {_plain(low)} to {_plain(high)}, not {value:g}", code=USAGE)
        return value

    return check


def _plain(bound: float) -> str:
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def not_empty(arguments: Sequence[str]) -> None:
    """A variable that a script has not set is no file, no folder and no name."""
    for before, one in zip(("", *arguments), arguments, strict=False):
        name, sign, value = one.partition("=")
        if not one and before not in _MAY_BE_EMPTY:
            raise Failed(f"{before or 'the first argument'}: what follows is empty", code=USAGE)
        if sign and name.startswith("--") and not value and name not in _MAY_BE_EMPTY:
            raise Failed(f"{name}: its value is empty", code=USAGE)


def exist(files: Sequence[Path]) -> None:
    missing = [f"{path}: {_what_is_there(path)}" for path in files if not path.is_file()]
    if missing:
        raise Failed(*missing, code=USAGE)


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        return "a folder, not a file"
    if path.exists() or str(path) == "-":
        return "not a regular file; pipes are not read: write it to a file first"
    return "no such file"


def folder(path: Path) -> None:
    """Made where it is not there; before a verb works for minutes to write into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise Failed(f"{path}: a file, not a folder", code=USAGE) from None
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}", code=USAGE) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise Failed(f"{path}: nothing can be written there", code=USAGE)


def new_file(path: Path) -> None:
    if path.is_dir():
        raise Failed(f"{path}: a folder, not a file", code=USAGE)
    if not path.parent.is_dir():
        raise Failed(f"{path}: there is no folder {path.parent}", code=USAGE)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Failed(f"{path}: cannot be written", code=USAGE)
