"""The console's pictures as SVG, by matplotlib: counts over time, and a map of regions.

Text stays text, in the fonts of who looks; those of the server are not asked for, as a server often has no Chinese one.
"""

from __future__ import annotations

import io
import math
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from notifier.charts import DRAWING, Picture, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

SIZES: Final = {"chart": ((960, 210), (360, 200)), "map": ((660, 460), (360, 330))}  # wide and narrow, pixels
FONTS: Final = (
    *("Segoe UI", "Helvetica Neue", "PingFang SC", "Microsoft YaHei"),
    *("Noto Sans CJK SC", "Noto Sans SC", "DejaVu Sans"),
)
TEXT: Final = 12.0
NAMED: Final = 40  # places of either kind that get a name where there is room
Anchor = Literal["left", "center", "right"]
PIXEL: Final = 72.0  # one unit of matplotlib's SVG is one pixel of the page


@dataclass(frozen=True, slots=True)
class Palette:
    """The first four are those of `static/console.css`."""

    card: str
    ink: str
    soft: str
    line: str
    dot: str


PALETTES: Final = {
    "light": Palette("#ffffff", "#1b2430", "#5b6675", "#dde2e8", "#c62828"),
    "dark": Palette("#1b212a", "#e6eaf0", "#9aa6b4", "#2c3540", "#ff6f60"),
}


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    latitude: float
    longitude: float
    count: int


@dataclass(frozen=True, slots=True)
class Map:
    """`places` with open findings, the most first; `around` are the others beside them, for orientation."""

    places: tuple[Place, ...]
    around: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Look:
    theme: str = "light"
    narrow: bool = False


def svg(content: Picture | Map, look: Look) -> bytes:
    """The same content and look draw the same bytes. Takes 15 to 45 ms of a core, and 300 ms the first time: for a thread."""
    with _matplotlib():
        if isinstance(content, Map):
            return _map(content, look)
        return _chart(content, look)


@contextmanager
def _matplotlib() -> Iterator[None]:
    import matplotlib as mpl

    with DRAWING, mpl.rc_context(), warnings.catch_warnings():
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = "forestall"
        mpl.rcParams["font.family"] = ["sans-serif"]
        mpl.rcParams["font.sans-serif"] = list(FONTS)
        mpl.rcParams["font.size"] = TEXT
        mpl.rcParams["text.parse_math"] = False
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # the reader's browser has it
        yield


def _figure(size: tuple[int, int], palette: Palette) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(size[0] / PIXEL, size[1] / PIXEL), dpi=PIXEL, facecolor=palette.card)


def _bytes(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return out.getvalue()


def _chart(picture: Picture, look: Look) -> bytes:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    palette, size = PALETTES[look.theme], SIZES["chart"][look.narrow]
    figure = _figure(size, palette)
    rows = (*picture.points, *picture.forecast)
    digits = len(f"{max((max(row[1:]) for row in rows), default=0):,.0f}")
    left, right, below, above = 14 + 8 * digits, 16, 42, 12
    axes = figure.add_axes(
        (
            left / size[0],
            below / size[1],
            1 - (left + right) / size[0],
            1 - (below + above) / size[1],
        )
    )
    axes.set_facecolor(palette.card)
    plot(axes, picture, palette.dot, palette.soft, marks=4 if look.narrow else 8)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(colors=palette.soft, labelcolor=palette.soft, length=3)
    axes.xaxis.get_offset_text().set_color(palette.soft)
    axes.spines[["left", "bottom"]].set_color(palette.line)
    axes.grid(axis="y", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)
    return _bytes(figure)


def _map(content: Map, look: Look) -> bytes:
    palette, size = PALETTES[look.theme], SIZES["map"][look.narrow]
    figure = _figure(size, palette)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    everywhere = (*content.places, *content.around)
    latitudes = [place.latitude for place in everywhere]
    # east-west shrinks with the latitude; a kilometre is as long in both directions at the middle of the map
    middle = math.radians((min(latitudes) + max(latitudes)) / 2)
    axes.set_aspect(1 / math.cos(middle), adjustable="datalim")
    axes.margins(0.09 if look.narrow else 0.07, 0.1)
    _dots(axes, content.around, [12.0] * len(content.around), palette.soft, 0.45)
    most = max(place.count for place in content.places)
    largest = 11 if look.narrow else 20
    radii = [3 + largest * math.sqrt(place.count / most) for place in content.places]
    _dots(axes, content.places, [math.pi * radius**2 for radius in radii], palette.dot, 0.55)
    axes.apply_aspect()
    _names(axes, content, radii, palette, orientation=not look.narrow)
    return _bytes(figure)


def _dots(axes: Axes, places: Sequence[Place], areas: Sequence[float], colour: str, alpha: float) -> None:
    if places:
        across, up = [place.longitude for place in places], [place.latitude for place in places]
        axes.scatter(across, up, s=areas, color=colour, alpha=alpha, linewidth=0)


def _names(axes: Axes, content: Map, radii: Sequence[float], palette: Palette, *, orientation: bool) -> None:
    """The most first, then those around; above its dot or else beside or below it; a name without room is left out."""
    from matplotlib.transforms import Bbox

    taken: list[Bbox] = []
    for place, radius in zip(content.places, radii, strict=True):
        x, y = _spot(axes, place)
        taken.append(Bbox.from_extents(x - radius, y - radius, x + radius, y + radius))
    wanted = [
        (place, f"{place.name} {place.count:,}", radius, palette.ink, TEXT)
        for place, radius in list(zip(content.places, radii, strict=True))[:NAMED]
    ]
    if orientation:
        wanted += [(place, place.name, 2.0, palette.soft, TEXT - 2) for place in content.around[:NAMED]]
    for place, text, radius, colour, size in wanted:
        x, y = _spot(axes, place)
        for across, up, anchor in _sides(radius, size):
            box = _box(text, size, x + across, y + up, anchor)
            if not box.count_overlaps(taken) and axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1:
                taken.append(box)
                axes.annotate(
                    text,
                    (place.longitude, place.latitude),
                    (across, up),
                    textcoords="offset points",
                    ha=anchor,
                    va="baseline",
                    color=colour,
                    fontsize=size,
                )
                break


def _spot(axes: Axes, place: Place) -> tuple[float, float]:
    x, y = axes.transData.transform((place.longitude, place.latitude))
    return float(x), float(y)


def _sides(radius: float, size: float) -> tuple[tuple[float, float, Anchor], ...]:
    """Where the base line of a name may begin, from the middle of its dot, the best first."""
    gap, middle = radius + 4, -0.35 * size
    return (
        (0, gap, "center"),
        (gap, middle, "left"),
        (0, -gap - 0.8 * size, "center"),
        (-gap, middle, "right"),
    )


def _box(text: str, size: float, x: float, y: float, anchor: Anchor) -> Bbox:
    from matplotlib.transforms import Bbox

    width = size * _ems(text)
    left = x - width * {"left": 0.0, "center": 0.5, "right": 1.0}[anchor]
    return Bbox.from_bounds(left, y - 0.2 * size, width, 1.1 * size)


def _ems(text: str) -> float:
    """How wide a text is, in font sizes, in about any font: Chinese characters are squares."""
    return sum(1.0 if unicodedata.east_asian_width(char) in "WF" else 0.56 for char in text)
