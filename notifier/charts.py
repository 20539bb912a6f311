"""The small chart in a capacity alert, as PNG, for channels that carry pictures.

Numbers and times only: no words, so no fonts of any language are needed. Drawn in a thread, one at a time, as
matplotlib is slow to start and not safe in parallel; the same content draws the same bytes.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from notifier.outbox import Entry
from notifier.sending import Channel, Message

LEAST_POINTS = 3
_COLOURS = {"critical": "#c62828", "warning": "#ef6c00", "info": "#1565c0", "resolved": "#2e7d32"}


class Charts:
    """Wiring: `Delivery(..., decorate=Charts(channels).decorate)`."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._drawing = asyncio.Lock()

    async def decorate(self, entry: Entry, message: Message) -> Message:
        channel = self._channels.get(entry.proposal.channel)
        points = message.variables.get("series") if entry.ops else None
        if channel is None or not channel.capabilities.image or not points or len(points) < LEAST_POINTS:
            return message
        async with self._drawing:
            zone = message.variables.get("timezone", "UTC")
            image = await asyncio.to_thread(draw, points, message.severity, zone)
        return replace(message, image=image)


def draw(points: Sequence[Sequence[int]], severity: str, timezone: str) -> bytes:
    """`points` are (milliseconds, open findings)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure

    zone = ZoneInfo(timezone)
    moments = [datetime.fromtimestamp(at / 1000, zone) for at, _ in points]
    times = date2num(moments)  # type: ignore[no-untyped-call]
    counts = [count for _, count in points]
    figure = Figure(figsize=(6, 2.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colour = _COLOURS.get(severity, "#1565c0")
    axes.fill_between(times, counts, step="post", alpha=0.25, color=colour, linewidth=0)
    axes.step(times, counts, where="post", color=colour, linewidth=1.8)
    locator = AutoDateLocator(tz=zone, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
