"""What verbs print: data on stdout, words on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from config.loading import ConfigError, Loaded, load

FAILED = 1
USAGE = 2
TITLE_AND_VALUE = 2
_PIPE = 10_000  # columns
_LAST_COLUMN = 30  # columns that are enough to fold a text into
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


def table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, json: bool, aside: bool = False
) -> None:
    """One JSON object a line, or a table with these columns, titled by their names; `aside` where it is words beside the
    data, on stderr.
    """
    if json:
        for row in rows:
            data(as_json(row))
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    titles = [column.replace("_", " ") for column in columns]
    if (sys.stderr if aside else sys.stdout).isatty():
        _on_terminal(titles, cells, aside=aside)
    else:
        _in_pipe(titles, cells, say if aside else data)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).translate(_IN_CELLS)


def _on_terminal(titles: Sequence[str], cells: Sequence[Sequence[str]], *, aside: bool) -> None:
    """Where only the last column does not fit, it is folded; where more do not, a block a row: folded letter by letter
    nobody can read them.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(stderr=aside)

    def width(table: Any) -> int:
        return Measurement.get(console, console.options.update(width=_PIPE), table).maximum

    whole, folded = _drawn(titles, cells), _drawn(titles, cells, only_last=True)
    others = _drawn(titles[:-1], [row[:-1] for row in cells])
    if len(titles) <= TITLE_AND_VALUE or width(whole) <= console.width:
        console.print(whole, markup=False)
        return
    if width(others) <= console.width - _LAST_COLUMN:
        console.print(folded, markup=False)
        return
    for row in cells:
        console.print(_drawn(None, list(zip(titles, row, strict=True))), "", sep="\n", markup=False)


def _in_pipe(titles: Sequence[str], cells: Sequence[Sequence[str]], write: Callable[[str], None]) -> None:
    """A row a line, however long."""
    from rich.console import Console

    console = Console(width=_PIPE)
    with console.capture() as whole:
        console.print(_drawn(titles, cells), markup=False)
    for line in whole.get().splitlines():
        write(line.rstrip())


def _drawn(titles: Sequence[str] | None, cells: Iterable[Sequence[str]], *, only_last: bool = False) -> Any:
    """`only_last`: no other column is folded."""
    from rich.table import Column, Table
    from rich.text import Text

    last = len(titles or ()) - 1
    heads = [
        Column(title, overflow="fold", no_wrap=only_last and at < last)
        for at, title in enumerate(titles or ())
    ]
    if titles is None:
        heads = [Column(style="bold", no_wrap=True), Column(overflow="fold")]
    drawn = Table(*heads, box=None, header_style="bold", pad_edge=False, show_header=titles is not None)
    for row in cells:
        drawn.add_row(*map(Text, row))
    return drawn


@dataclass(frozen=True, slots=True)
class Bar:
    """What is done of how much: `expect` says how much there is, `advance` what was done since."""

    expect: Callable[[int], None]
    advance: Callable[[int], None]


@contextmanager
def progress(title: str, *, as_bytes: bool = False) -> Iterator[Bar]:
    """Draws only on a terminal, so that pipes and logs stay clean; without an `expect` only that work is going on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    done = DownloadColumn() if as_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)
        yield Bar(
            expect=lambda total: bars.update(task, total=total),
            advance=lambda count: bars.advance(task, count),
        )
