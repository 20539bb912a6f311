"""The endless world of the demo: cohort after cohort, with a choreography for the first minute.

Time is simulated; `speed` (simulated seconds a wall second) only places the first faults, so that a person who watches
sees a hub jam, a region complain and a feed fall silent before a minute is over. After that each week draws its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monitor.simulate.cohort import ROOM, grow
from monitor.simulate.faults import BAD_COURIERS, SCENARIOS, Jam, Outage, Plan, Stage, Wave
from monitor.simulate.feeding import in_order
from monitor.simulate.network import network
from monitor.simulate.rhythm import DAY, HOUR
from monitor.simulate.tables import Tables
from monitor.simulate.write import written

SPAN = 3 * DAY
WEEK = 7 * DAY
RATES = replace(BAD_COURIERS, stuck=0.03, bad_couriers=0.04)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the demo's narrator says, in both languages, at its simulated moment."""

    at: int
    zh: str
    en: str


class World:
    """`until(t)` hands out events as NDJSON lines in the order of their receipt, each once.

    Not for two threads at once; growing a cohort takes about a second, so call it outside of an event loop.
    """

    def __init__(
        self,
        seed: int,
        start: int,
        speed: float = 1800.0,
        *,
        parcels_per_day: int = 1500,
        history_days: int = 12,
    ) -> None:
        self.seed, self.start, self.speed = seed, start, speed
        self.parcels_per_day = parcels_per_day
        self.begin = start - history_days * DAY
        self._grown = 0
        self._queues: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[str]]] = []

    def until(self, t: int) -> list[bytes]:
        """Everything received up to and including `t` that was not handed out before."""
        while self.begin + self._grown * SPAN <= t:
            self._grow()
        due: list[tuple[int, str]] = []
        rest = []
        for received, lines in self._queues:
            count = int(np.searchsorted(received, t, side="right"))
            due.extend(zip(received[:count].tolist(), lines[:count], strict=True))
            if count < len(lines):
                rest.append((received[count:], lines[count:]))
        self._queues = rest
        due.sort()
        return [line.encode() for _, line in due]

    def announcements(self) -> list[Announcement]:
        """The choreography of the first minute."""
        ground = network()
        said = []
        for jam in self._opening().jams:
            name = ground.names[int(ground.hubs[jam.hub])]
            hub = ground.hub_name(jam.hub)
            said.append(Announcement(jam.start, f"{name}分拨中心 {hub} 爆仓", f"hub {hub} jams"))
        for outage in self._opening().outages:
            zh, en = f"轨迹源 {outage.feed} 中断", f"feed {outage.feed} falls silent"
            said.append(Announcement(outage.start, zh, en))
            said.append(Announcement(outage.end, f"轨迹源 {outage.feed} 恢复", f"feed {outage.feed} is back"))
        for wave in self._opening().waves:
            region = wave.region.ljust(6, "0")
            zh, en = f"地区 {region} 投诉上升（{wave.reason}）", f"region {region} complains ({wave.reason})"
            said.append(Announcement(wave.start, zh, en))
        return sorted(said, key=lambda one: one.at)

    def _grow(self) -> None:
        number = self._grown
        self._grown += 1
        first = self.begin + number * SPAN
        cohort = grow(
            self.seed, number, (first, first + SPAN), self.parcels_per_day * SPAN // DAY,
            self._plan(first, first + SPAN + ROOM), self.parcels_per_day * 30,
        )  # fmt: skip
        events = in_order(written(self.seed, cohort, Tables(cohort, self.seed)))
        self._queues.append((events["_received"].to_numpy(), events["line"].to_list()))

    def _opening(self) -> Plan:
        """Begun before the curtain where finding it takes hours of parcels; after it where a person should watch."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 3_000_003]))
        ground = network()
        hub = int(
            rng.choice(
                [i for i, city in enumerate(ground.hubs) if ground.codes[int(city)] in {"420100", "330100"}]
            )
        )
        second = int(1000 * self.speed)
        region = str(rng.choice(["33", "44", "32"]))
        return Plan(
            rates=RATES,
            jams=(Jam(hub, self.start - 10 * HOUR, self.start + max(40 * second, 30 * HOUR), 0.03),),
            outages=(
                Outage("kdniao", self.start + 12 * second, self.start + max(40 * second, 12 * HOUR), 0.0),
            ),
            waves=(
                Wave(
                    region,
                    self.start - 4 * HOUR,
                    self.start + 2 * DAY,
                    "product",
                    "damaged",
                    0.25,
                    slow=False,
                ),
            ),
        )

    def _plan(self, first: int, last: int) -> Plan:
        """The opening, and what each later week of the span draws from the scenario `mixed`."""
        plan = self._opening()
        week = max(0, (first - self.start) // WEEK)
        while (begin := self.start + week * WEEK) < last:
            if week:
                rng = np.random.default_rng(np.random.SeedSequence([self.seed, 4_000_003, week]))
                drawn = SCENARIOS["mixed"](
                    Stage(rng, begin, begin + WEEK, 7 * self.parcels_per_day, network())
                )
                plan = replace(
                    plan,
                    jams=plan.jams + drawn.jams,
                    storms=plan.storms + drawn.storms,
                    outages=plan.outages + drawn.outages,
                    waves=plan.waves + drawn.waves,
                )
            week += 1
        return plan
