"""The report as pictures: precision against recall, and what was said against what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from monitor.evaluate.report import Report

_COLOURS: Final = 10  # that are told apart, of matplotlib's own
_DASHES: Final = ("-", "--", ":")
_MARKERS: Final = (".", "x", "^")


def style(number: int) -> tuple[str, str, str]:
    """Colour, dashes and mark of the curve with this number: where the colours begin again, the others change."""
    again = number // _COLOURS % len(_DASHES)
    return f"C{number % _COLOURS}", _DASHES[again], _MARKERS[again]


def curves(report: Report, out: Path) -> list[Path]:
    """PNG files in `out`: `precision_recall.png`, `calibration.png`; none where there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [row for row in report.measures if row.curve]
    if not drawn:
        return []
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, across, up in (
        ("precision_recall", "recall", "precision"),
        ("calibration", "score", "share that was real"),
    ):
        figure = Figure(figsize=(7.5, 6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for number, row in enumerate(drawn):
            if name == "calibration":
                points = [(said, seen) for said, seen, count in row.reliability if count >= 5]
            else:
                points = [(recall, precision) for _, recall, precision in row.curve]
            colour, dashes, mark = style(number)
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour,
                    linestyle=dashes,
                    marker=mark,
                    markersize=4,
                    label=row.detector,
                )
        if name == "calibration":
            axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        axes.set(xlabel=across, ylabel=up, xlim=(0, 1.02), ylim=(0, 1.02), title=report.scenario or "replay")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
        path = out / f"{name}.png"
        figure.savefig(path, dpi=130, metadata={"Software": None})
        paths.append(path)
    return paths
