"""The small chart in an alert, as PNG: inside the message where the channel carries pictures, or by a link of ours.

Numbers and times only: no words, so no fonts of any language are needed. Drawn in a thread, as matplotlib is slow to
start; the same content draws the same bytes.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self
from zoneinfo import ZoneInfo

from notifier.outbox import Entry
from notifier.sending import Channel, Instant, Message

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_POINTS = 3
TENTHS_BELOW = 10  # a usual level of 2.6 is not 3
DRAWING: Final = (
    threading.Lock()
)  # whoever draws holds it: matplotlib's fonts and settings are of the whole process
_TIMES: Final = ("%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S")  # numbers alone, for every language
_ZEROS: Final = ("", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M")
_OFFSETS: Final = ("", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M")
_USUAL: Final = "#607d8b"
_COLOURS = {"critical": "#c62828", "warning": "#ef6c00", "info": "#1565c0", "resolved": "#2e7d32"}


@dataclass(frozen=True, slots=True)
class Picture:
    """`points` are (milliseconds, count); `usual` a level to compare with; `forecast` rows of milliseconds, expected,
    low and high. All of one picture count the same thing, or nobody could read its axis.
    """

    points: Sequence[Sequence[int]]
    usual: float | None = None
    forecast: Sequence[Sequence[float]] = ()
    severity: str = "info"
    timezone: str = "UTC"

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Self | None:
        """From what an alert says; None where there is too little to see. A forecast is of all that a place holds, the
        series of its open findings alone: where there is a forecast, it is the picture.
        """
        more = variables.get("chart") or {}
        forecast = more.get("forecast") or ()
        points = () if forecast else variables.get("series") or ()
        if len(points) + len(forecast) < LEAST_POINTS:
            return None
        severity, timezone = variables.get("severity", "info"), variables.get("timezone", "UTC")
        return cls(points, more.get("usual"), forecast, severity, timezone)


class Charts:
    """Wiring: `Delivery(..., decorate=Charts(channels, address).decorate)`; `address` makes the link to the picture of
    an action, and gives None where chats cannot reach us.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        address: Callable[[str, Instant], str | None] = lambda _action, _at: None,
    ) -> None:
        self._channels = channels
        self._address = address
        self._drawing = asyncio.Lock()

    async def decorate(self, entry: Entry, message: Message) -> Message:
        channel = self._channels.get(entry.proposal.channel)
        picture = Picture.of(message.variables) if entry.ops and message.severity != "resolved" else None
        if channel is None or picture is None:
            return message
        can = channel.capabilities
        if can.image_url and (url := self._address(entry.action_id, entry.decided_at)):
            return replace(message, image_url=url)
        return replace(message, image=await self.draw(picture)) if can.image else message

    async def draw(self, picture: Picture) -> bytes:
        async with self._drawing:
            return await asyncio.to_thread(draw, picture)


def draw(picture: Picture) -> bytes:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    with DRAWING:
        figure = Figure(figsize=(6, 2.4), dpi=110, layout="constrained")
        axes = figure.add_subplot()
        colour = _COLOURS.get(picture.severity, "#1565c0")
        plot(axes, picture, colour, _USUAL)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=2))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", alpha=0.3)
        _write_numbers(axes, picture, colour)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return _small(out.getvalue())


def plot(axes: Axes, picture: Picture, colour: str, usual: str, marks: int = 8) -> None:
    """Counts as steps, the forecast dashed inside its interval, the usual level dotted; up from zero, with at most so
    many marks of time.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    zone = ZoneInfo(picture.timezone)
    if picture.points:
        times, counts = _times(picture.points, zone), [row[1] for row in picture.points]
        axes.fill_between(times, counts, step="post", alpha=0.25, color=colour, linewidth=0)
        axes.step(times, counts, where="post", color=colour, linewidth=1.8)
    if picture.forecast:
        times, middle = _times(picture.forecast, zone), [row[1] for row in picture.forecast]
        low, high = ([row[column] for row in picture.forecast] for column in (2, 3))
        axes.fill_between(times, low, high, alpha=0.15, color=colour, linewidth=0)
        axes.plot(times, middle, color=colour, linewidth=1.8, linestyle="--", marker="o", markersize=4)
    if picture.usual is not None:
        axes.axhline(picture.usual, color=usual, linewidth=1.2, linestyle=":")
    locator = AutoDateLocator(tz=zone, minticks=3, maxticks=marks)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, tz=zone, formats=_TIMES, zero_formats=_ZEROS, offset_formats=_OFFSETS
        )
    )
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def _write_numbers(axes: Axes, picture: Picture, colour: str) -> None:
    """What is there now, what is expected, and what is usual: the numbers people would else guess from the axis."""
    zone = ZoneInfo(picture.timezone)
    rows = picture.forecast or picture.points[-1:]
    for at, row in zip(_times(rows, zone), rows, strict=True):
        last = row is rows[-1]
        axes.annotate(
            f"{row[1]:,.0f}",
            (at, row[1]),
            xytext=(-4 if last else 4, 5),
            textcoords="offset points",
            ha="right" if last else "left",
            color=colour,
            fontweight="bold",
        )
    if picture.usual is not None:
        axes.annotate(
            f"{picture.usual:,.0f}" if picture.usual >= TENTHS_BELOW else f"{picture.usual:.1f}",
            (0, picture.usual),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3),
            textcoords="offset points",
            color=_USUAL,
        )
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)


def _times(rows: Sequence[Sequence[float]], zone: ZoneInfo) -> Any:
    from matplotlib.dates import date2num

    return date2num([datetime.fromtimestamp(row[0] / 1000, zone) for row in rows])  # type: ignore[no-untyped-call]


def _small(png: bytes) -> bytes:
    """In 64 colours: a third of the bytes, so that it fits inside cards that carry their pictures themselves."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(64).save(out, format="png", optimize=True)
    return out.getvalue()
