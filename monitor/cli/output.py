"""What verbs print: data on stdout, words on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from config.loading import ConfigError, Loaded, load

FAILED = 1
USAGE = 2
_PIPE = 10_000  # columns


class Failed(Exception):  # noqa: N818 - the verb failed, the program did not
    """A verb cannot do what was asked; each line says what, where and what to do."""

    def __init__(self, *lines: str, code: int = FAILED) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def data(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def settings(path: Path | None) -> Loaded:
    try:
        return load(path)
    except ConfigError as error:
        raise Failed(*error.problems, code=USAGE) from None


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, json: bool) -> None:
    """One JSON object a line, or a table with these columns, titled by their names."""
    if json:
        for row in rows:
            data(as_json(row))
        return
    from rich.console import Console
    from rich.table import Column, Table

    # A terminal folds what is too long for it; a pipe gets a row a line, however long.
    titles = [Column(column.replace("_", " "), overflow="fold") for column in columns]
    drawn = Table(*titles, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        drawn.add_row(*["" if row.get(column) is None else str(row[column]) for column in columns])
    if sys.stdout.isatty():
        Console().print(drawn, markup=False)
        return
    console = Console(width=_PIPE)
    with console.capture() as whole:
        console.print(drawn, markup=False)
    for line in whole.get().splitlines():
        data(line.rstrip())


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Any]:
    """Yields `advance(n)`; draws only on a terminal, so that pipes and logs stay clean."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=total)
        yield lambda count: bars.advance(task, count)
