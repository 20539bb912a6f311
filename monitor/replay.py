"""The production engine over recorded events, in event time, as fast as it goes. Sends nothing.

Events are taken in the order in which they were received; between them stand ticks, one each
`engine.replay_tick_seconds` of event time. Where nothing was received for `QUIET_DAYS`, all that could come due has, and
time goes on at the next event: a wrong year in one line is no hours of work. The ledger is the real one, on a store of
its own that goes away after.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np
from pydantic import SecretStr

from config.settings import Settings
from monitor import __version__
from monitor.columns import I64
from monitor.core import Core, build_core, scratch_store
from monitor.files import read_lines
from monitor.records import when
from monitor.sinks import FileSink
from monitor.stream import Frame
from monitor.times import EARLIEST, LATEST, parse_time

FRAME: Final = 5000
DAY: Final = 86_400_000  # milliseconds
QUIET_DAYS: Final = 60


class _Times(msgspec.Struct, gc=False):
    occurred_at: str = ""
    received_at: str = ""


@dataclass(slots=True)
class Recording:
    """Lines in the order of their receipt; a line without a readable time stays behind the one before it."""

    lines: Sequence[bytes]
    received: I64

    @classmethod
    def load(cls, files: Sequence[Path]) -> Recording:
        lines: list[bytes] = []
        for chunk in read_lines(files):
            lines += chunk
        received = np.array(received_of(lines), np.int64)
        if len(received) and (np.diff(received) < 0).any():
            order = np.argsort(received, kind="stable")
            lines, received = [lines[place] for place in order.tolist()], received[order]
        return cls(lines, received)

    def ticks(self, step: int, until: int | None = None) -> Ticks:
        """Each `step` ms; without `until` to the one after the last line."""
        last = int(self.received[-1]) if len(self.received) else 0
        return Ticks(self.received, step, until if until is not None else last - last % step + step)


def received_of(lines: Sequence[bytes]) -> list[int]:
    decoder = msgspec.json.Decoder(_Times)
    found: list[int] = []
    last = 0
    for line in lines:
        try:
            times = decoder.decode(line)
            moment = parse_time(times.received_at or times.occurred_at)
            last = moment if moment and EARLIEST <= moment < LATEST else last
        except msgspec.MsgspecError:
            pass  # the decoder will say what is wrong with this line
        found.append(last)
    return found


def replay_key(settings: Settings) -> bytes:
    """The shop's own key, so that arms and codes are those of the daemon; without one, always the same."""
    given = settings.money.tenant_key
    return given.get_secret_value().encode() if given else b"replay without a tenant key"


@dataclass(slots=True)
class Ticks:
    """The times of all ticks, the last of them `end`; `passed_over` are the stretches (from, until) without any."""

    received: I64  # ascending
    step: int
    end: int
    passed_over: list[tuple[int, int]] = field(default_factory=list)

    def __iter__(self) -> Iterator[int]:
        first = int(self.received[self.received > 0][0]) if (self.received > 0).any() else 0
        tick = first - first % self.step + self.step
        while tick < self.end:
            yield tick
            tick = self._after(tick)
        yield self.end

    def _after(self, tick: int) -> int:
        place = int(np.searchsorted(self.received, tick, side="right"))
        following = int(self.received[place]) if place < len(self.received) else self.end
        further = min(following, self.end)
        further -= further % self.step
        heard = int(self.received[place - 1]) if place else 0
        if tick - heard < QUIET_DAYS * DAY or further <= tick + self.step:
            return tick + self.step
        self.passed_over.append((tick, further))
        return further


async def replay_files(
    files: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    until: int | None = None,
    expect: Callable[[int], None] = lambda _count: None,
    advance: Callable[[int], None] = lambda _count: None,
) -> dict[str, Any]:
    """`expect` is told how many lines there are, `advance` how many more were taken."""
    recording = Recording.load(files)
    expect(len(recording.lines))
    ticks = recording.ticks(settings.engine.replay_tick_seconds * 1000, until)
    sink = FileSink()
    with tempfile.TemporaryDirectory(prefix="forestall-replay-") as folder:
        async with scratch_store(Path(folder)) as store:
            key = replay_key(settings)
            paced = settings.engine.model_copy(update={"tick_seconds": settings.engine.replay_tick_seconds})
            keyed = settings.money.model_copy(update={"tenant_key": SecretStr(key.decode())})
            core = build_core(settings.model_copy(update={"engine": paced, "money": keyed}), store, sink, key)
            dead, taken = await _run(core, recording, ticks, advance)
            summary = _summary(sink, recording, dead, taken, core)
            summary["gaps"] = [{"from": when(start), "until": when(end)} for start, end in ticks.passed_over]
            sink.write(out, summary)
    return summary


async def _run(
    core: Core, recording: Recording, ticks: Ticks, advance: Callable[[int], None]
) -> tuple[Counter[str], int]:
    dead: Counter[str] = Counter()
    place = taken = 0
    for tick in ticks if len(recording.received) else ():
        upto = int(np.searchsorted(recording.received, tick, side="right"))
        for start in range(place, upto, FRAME):
            lines = recording.lines[start : min(start + FRAME, upto)]
            for decoded in core.decoder.decode([Frame("batch", b"\n".join(lines))]):
                dead.update(str(one.reason) for one in decoded.dead)
                taken += decoded.events
                await core.pipeline.take(decoded.batch)
            advance(len(lines))
        place = upto
        await core.pipeline.tick(tick)
    return dead, taken


def _summary(
    sink: FileSink, recording: Recording, dead: Counter[str], taken: int, core: Core
) -> dict[str, Any]:
    def counted(name: str) -> dict[str, Any]:
        counts = sink.counts[name]
        return {"total": counts.total(), "by": dict(sorted(counts.items()))}

    received = recording.received[recording.received > 0]
    days = (core.pipeline.now - int(received[0])) / DAY if len(received) and core.pipeline.now else 0.0
    named = ("findings", "actions", "incidents")
    return {
        "version": __version__,
        "policy": core.pipeline.pack.fingerprint,
        "events": {"read": len(recording.lines), "taken": taken, "dead": dict(sorted(dead.items()))},
        "from": when(int(received[0])) if len(received) else None,
        "until": when(core.pipeline.now) if core.pipeline.now else None,
        "live_parcels": core.engine.live_parcels,
        "findings": counted("findings"),
        "actions": counted("actions"),
        "incidents": counted("incidents"),
        "rates": {
            "dead_share": round(sum(dead.values()) / max(len(recording.lines), 1), 6),
            **{
                f"{name}_per_day": round(sink.counts[name].total() / days, 3) if days else None
                for name in named
            },
        },
        # Of event time: how long a run took would not be the same twice.
        "timings": {
            "days": round(days, 3),
            "hours_to_opening": {
                kind: round(median(hours), 2) for kind, hours in sorted(sink.delays.items())
            },
        },
    }
