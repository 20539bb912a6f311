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
TITLE_AND_VALUE = 2
_PIPE = 10_000  # columns
# What a terminal would obey: names and numbers come from whoever feeds us.
_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_IN_CELLS = _SHOWN | {ord("\n"): "\\n", ord("\t"): "\\t"}


class Failed(Exception):  # noqa: N818 - the verb failed, the program did not
    """A verb cannot do what was asked; each line says what, where and what to do."""

    def __init__(self, *lines: str, code: int = FAILED) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


def say(text: str) -> None:
    print(text.translate(_SHOWN), file=sys.stderr, flush=True)  # noqa: T201


def data(text: str) -> None:
    print(text.translate(_SHOWN), flush=True)  # noqa: T201


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
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    titles = [column.replace("_", " ") for column in columns]
    if sys.stdout.isatty():
        _on_terminal(titles, cells)
    else:
        _in_pipe(titles, cells)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).translate(_IN_CELLS)


def _on_terminal(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Where three columns and more do not fit, a block a row: folded letter by letter nobody can read them."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    whole = _drawn(titles, cells)
    wide = Measurement.get(console, console.options.update(width=_PIPE), whole).maximum > console.width
    if len(titles) <= TITLE_AND_VALUE or not wide:
        console.print(whole, markup=False)
        return
    for row in cells:
        console.print(_drawn(None, list(zip(titles, row, strict=True))), "", sep="\n", markup=False)


def _in_pipe(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A row a line, however long."""
    from rich.console import Console

    console = Console(width=_PIPE)
    with console.capture() as whole:
        console.print(_drawn(titles, cells), markup=False)
    for line in whole.get().splitlines():
        data(line.rstrip())


def _drawn(titles: Sequence[str] | None, cells: Iterable[Sequence[str]]) -> Any:
    from rich.table import Column, Table
    from rich.text import Text

    heads = [Column(title, overflow="fold") for title in titles or ()]
    if titles is None:
        heads = [Column(style="bold", no_wrap=True), Column(overflow="fold")]
    drawn = Table(*heads, box=None, header_style="bold", pad_edge=False, show_header=titles is not None)
    for row in cells:
        drawn.add_row(*map(Text, row))
    return drawn


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
