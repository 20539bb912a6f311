"""How tables of measured numbers are printed, and what a table may be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    seed: int
    series: int  # a scenario or signal
    data: Path  # folder with nab/ and the like; tables that need an absent one say so
    r_series: int  # a scenario or signal that R judges too (it is slow); 0: none
    seeds: tuple[int, ...] = ()  # of worlds; none: five from `seed` on
    scenarios: tuple[str, ...] | None = None  # of worlds; None: all


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Markdown, so that the documentation holds what was printed."""
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    print(f"\n{title}\n")
    for line in (list(columns), ["-" * width for width in widths], *cells):
        cells_of = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print("| " + " | ".join(cells_of) + " |", flush=True)
    print(flush=True)
