"""One incident for many parcels: a facility holds far more than its usual, or far more of its parcels stand still.

Two signs. *Stock*: parcels held against the facility's own usual for this hour of the week, after dividing by what
more traffic explains: on a sale day every facility holds ten times the usual and sends on ten times as many, which is
no jam. *Standstill*: stalled parcels against the facility's usual share of them, shrunk towards all facilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors import congestion_kernels as kernels
from detectors.clock import DAY, HOUR, HOURS_A_WEEK, hour_of_week
from detectors.congestion_kernels import Signs, Thresholds
from detectors.congestion_words import Jam, written
from detectors.deferred import Deferred
from detectors.episodes import Episodes
from detectors.facilities import Facilities
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.plain import pack, unpack
from detectors.resting import Rest
from detectors.rhythm import Rhythm
from detectors.room import Room

F64 = npt.NDArray[np.float64]

_FACILITY: Final = SubjectType.FACILITY
_SHARE_MEMORY: Final = 7.0  # days over which the usual share of stalled parcels and departures are averaged
_FLOW_MEMORY: Final = 6.0  # hours over which arrivals and departures are averaged


@dataclass(frozen=True, slots=True)
class CongestionLimits:
    ratio: float = 2.0  # of the usual stock, after traffic is accounted for
    calm_ratio: float = 1.4
    deviations: float = 4.0
    min_parcels: int = 20  # over the usual
    min_stalled: int = 10
    stalled_ratio: float = 4.0  # of the usual share of stalled parcels
    hold_minutes: float = 20.0  # how long a sign must last
    calm_minutes: float = 120.0
    accept_days: float = 10.0  # after which a jam begins to be the usual
    ready_days: float = 3.0  # of the facility's own stock
    ready_network_days: float = 1.0  # of all facilities' stalled share


class _Watched(NamedTuple):
    """A facility that is hot now, or was lately."""

    row: int
    hot: bool
    warm: bool
    score: float
    stock: int


@dataclass(frozen=True, slots=True)
class _Judged:
    """What one run saw, one element a facility."""

    facilities: Facilities
    usual: F64
    signs: Signs
    watched: list[_Watched]


class FacilityCongested:
    name = "facility_congested"
    every = 600_000
    wants = frozenset({"facilities"})

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        limits: CongestionLimits | None = None,
        capacity: int = 50_000,
    ) -> None:
        self._timezone = timezone
        self._limits = limits or CongestionLimits()
        self._thresholds = Thresholds(*(float(getattr(self._limits, name)) for name in Thresholds._fields))
        self._stock = Rhythm(capacity)
        self._flow = np.zeros((0, 2))  # arrivals and departures an hour, averaged
        self._flow_usual = np.zeros(0)  # departures an hour, slowly averaged
        self._stalled_share = np.zeros((0, 3))  # decayed parcels stalled, parcels held, days
        self._network_days = 0.0
        self._rest = Rest(self._limits.accept_days)
        self._hot_since: dict[int, Instant] = {}  # by row of the stock's usual
        self._told: dict[
            int, int
        ] = {}  # of an open episode's facility, likewise: the stock that was last told
        self._episodes = Episodes(self.name, Kind.FACILITY_CONGESTED)
        self._room = Room(self._stock.names, lambda: {*self._hot_since, *self._told})

    def run(self, window: Window) -> list[Finding]:
        facilities = self._enter(window)
        hours = (window.until - window.since) / HOUR
        if not len(facilities) or hours <= 0:
            return []
        gain = 1.0 - float(np.exp(-hours / _FLOW_MEMORY))
        kernels.flow(facilities.arrived, facilities.out, hours, gain, self._flow)
        judged = self._judge(facilities, window.until)
        found = self._speak(judged, window.until)
        if not self._rest.rests(float(facilities.arrived.sum()), hours, window.until):
            self._learn(judged, window.until, hours)
        return found

    def uncounted(self) -> Mapping[str, int]:
        return self._room.uncounted()

    def _enter(self, window: Window) -> Facilities:
        facilities = Facilities(window, self._stock, self._room)
        self._grow(len(facilities))
        if len(facilities.renewed):
            self._stock.renew(facilities.renewed)
            for known in (self._flow, self._flow_usual, self._stalled_share):
                known[facilities.renewed] = 0.0
        return facilities

    def _judge(self, facilities: Facilities, now: Instant) -> _Judged:
        hour, stock = hour_of_week(now, self._timezone), facilities.stock
        # lorries come an hour or two off their time: the fullest of the hours around is the usual
        around = [(hour + shift) % HOURS_A_WEEK for shift in range(-2, 3)]
        usual, ready = self._stock.around(around, self._limits.ready_days)
        watched = np.zeros(len(facilities), np.bool_)
        watched[list(self._hot_since)] = True
        signs = kernels.signs(len(facilities))
        kernels.judge(
            stock,
            facilities.stalled,
            usual,
            self._stock.scales(),
            ready,
            self._flow,
            self._flow_usual,
            self._stalled_share,
            self._network_days >= self._limits.ready_network_days,
            watched,
            self._thresholds,
            signs,
        )
        watched |= signs.hot
        return _Judged(facilities, usual, signs, _watched(np.flatnonzero(watched), signs, stock))

    def _speak(self, judged: _Judged, now: Instant) -> list[Finding]:
        found = [self._say(judged, one, now) for one in judged.watched]
        return [finding for finding in found if finding is not None]

    def _say(self, judged: _Judged, one: _Watched, now: Instant) -> Finding | None:
        at = one.row
        if at not in self._told and not self._lasts(one, now):
            return None
        subject = Subject(_FACILITY, self._stock.key(at))
        episode = self._episodes.get(subject)
        if one.hot or (episode is not None and one.warm):
            since = self._hot_since.setdefault(at, now)
            old = self._told.get(at, 0)
            news = episode is not None and abs(one.stock - old) > 0.25 * max(old, 1)
            if episode is not None and not news and self._episodes.goes_on(episode, one.score, now):
                return None
            write = partial(self._evidence, judged, at, since)
            finding = self._episodes.hold(
                subject, started_at=since, now=now, score=one.score, evidence=write, news=news
            )
            if finding is not None:
                self._told[at] = one.stock
            return finding
        if episode is not None and now - episode.seen_at >= self._limits.calm_minutes * 60_000:
            since = self._hot_since.pop(at, episode.started_at)
            self._told.pop(at, None)
            evidence = self._evidence(judged, at, since)
            return self._episodes.close(subject, now, CloseReason.RECOVERED, evidence)
        return None

    def _lasts(self, one: _Watched, now: Instant) -> bool:
        """Of a facility without an episode: whether its sign is there, and was for long enough."""
        if one.hot:
            return now - self._hot_since.setdefault(one.row, now) >= self._limits.hold_minutes * 60_000
        self._hot_since.pop(one.row, None)
        return False

    def _learn(self, judged: _Judged, now: Instant, hours: float) -> None:
        """What looks wrong teaches a tenth for a while: a jam must not become the usual, a rebuilt hub must."""
        days = min(hours, 6.0) / 24
        facilities, signs = judged.facilities, judged.signs
        weight = np.where(signs.hot | signs.warm, 0.1, 1.0)
        accepted = self._limits.accept_days * DAY
        weight[[at for at, since in self._hot_since.items() if now - since > accepted]] = 1.0
        hour = hour_of_week(now, self._timezone)
        self._stock.learn(facilities.rows, hour, facilities.stock / signs.traffic, days, weight)
        gain = 1.0 - float(np.exp(-days / _SHARE_MEMORY))
        kernels.learn(
            facilities.stock,
            facilities.stalled,
            weight,
            days,
            gain,
            self._flow,
            self._flow_usual,
            self._stalled_share,
        )
        self._network_days += days

    def _evidence(self, judged: _Judged, at: int, since: Instant) -> Deferred:
        facilities, signs = judged.facilities, judged.signs
        region, carrier = facilities.place(at)
        arrivals, departures = self._flow[at].tolist()
        jam = Jam(
            facility=self._stock.key(at),
            region=region,
            carrier=carrier,
            stock=int(facilities.stock[at]),
            usual=judged.usual.item(at),
            ratio=signs.ratio.item(at),
            traffic_ratio=signs.traffic.item(at),
            stalled=int(facilities.stalled[at]),
            stalled_usual=signs.stalled_usual.item(at),
            arrivals_per_hour=arrivals,
            departures_per_hour=departures,
            fuller=signs.stock_z[at] >= signs.stalled_z[at],
            deviations=float(max(signs.stock_z[at], signs.stalled_z[at])),
            since=since,
            days=self._stock.ages().item(at),
        )
        return Deferred(written, jam, self._timezone)

    def _grow(self, size: int) -> None:
        more = size - len(self._flow)
        if more > 0:
            self._flow = np.concatenate([self._flow, np.zeros((more, 2))])
            self._stalled_share = np.concatenate([self._stalled_share, np.zeros((more, 3))])
            self._flow_usual = np.concatenate([self._flow_usual, np.zeros(more)])

    def state(self) -> dict[str, Any]:
        return {
            "stock": self._stock.state(),
            "flow": pack(self._flow),
            "flow_usual": pack(self._flow_usual),
            "stalled_share": pack(self._stalled_share),
            "network_days": self._network_days,
            "rest": self._rest.state(),
            "hot_since": {self._stock.key(at): since for at, since in self._hot_since.items()},
            "episodes": self._episodes.state(),
            "room": self._room.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._stock.restore(state["stock"])
        self._flow = unpack(state["flow"])
        self._flow_usual = unpack(state["flow_usual"])
        self._stalled_share = _with_days(unpack(state["stalled_share"]))
        self._network_days = float(state["network_days"])
        if "rest" in state:  # younger than the format
            self._rest.restore(state["rest"])
        self._hot_since = {
            self._stock.row(str(name)): int(since) for name, since in state["hot_since"].items()
        }
        self._episodes.restore(state["episodes"])
        self._room.restore(state.get("room"))
        self._told = {
            self._stock.row(one.subject.id): int(one.evidence["stock"]) for one in self._episodes.all()
        }


def _with_days(share: F64) -> F64:
    """Of a checkpoint that knew of none: as if the usual had been learned for a memory's length."""
    return share if share.shape[1] == 3 else np.column_stack([share, np.full(len(share), _SHARE_MEMORY)])


def _watched(rows: npt.NDArray[Any], signs: Signs, stock: F64) -> list[_Watched]:
    """Four deviations are even odds of a real jam, eight are sure: facilities' deviations have heavy tails."""
    deviations = np.maximum(signs.stock_z[rows], signs.stalled_z[rows])
    scores = 1.0 / (1.0 + np.exp(-(deviations - 4.0)))
    columns = (rows, signs.hot[rows], signs.warm[rows], scores, stock[rows].astype(np.int64))
    return list(map(_Watched._make, zip(*(column.tolist() for column in columns), strict=True)))
