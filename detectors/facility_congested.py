"""One incident for many parcels: a facility holds far more than its usual, or far more of its parcels stand still.

Two signs. *Stock*: parcels held against the facility's own usual for this hour of the week, after dividing by what
more traffic explains: on a sale day every facility holds ten times the usual and sends on ten times as many, which is
no jam. *Standstill*: stalled parcels against the facility's usual share of them, shrunk towards all facilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import DAY, HOUR, HOURS_A_WEEK, hour_of_week, stamp
from detectors.episodes import Episodes
from detectors.facilities import Facilities
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.plain import pack, unpack
from detectors.rhythm import Rhythm

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

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


@dataclass(frozen=True, slots=True)
class _Judged:
    """What one run saw, one element a facility of the frame."""

    rows: I64
    stock: F64
    stalled: F64
    usual: F64
    ratio: F64
    traffic: F64
    stock_z: F64
    stalled_z: F64
    stalled_usual: F64
    hot: npt.NDArray[np.bool_]
    warm: npt.NDArray[np.bool_]


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
        self._stock = Rhythm(capacity)
        self._flow = np.zeros((0, 2))  # arrivals and departures an hour, averaged
        self._flow_usual = np.zeros(0)  # departures an hour, slowly averaged
        self._stalled_share = np.zeros((0, 2))  # decayed parcels stalled, parcels held
        self._network_days = 0.0
        self._hot_since: dict[str, Instant] = {}
        self._episodes = Episodes(self.name, Kind.FACILITY_CONGESTED)

    def run(self, window: Window) -> list[Finding]:
        facilities = Facilities(window.facilities, self._stock)
        hours = (window.until - window.since) / HOUR
        if not len(facilities) or hours <= 0:
            return []
        self._grow(len(facilities))
        self._learn_flow(facilities, hours)
        judged = self._judge(facilities, window.until)
        found = self._speak(judged, facilities, window.until)
        self._learn(judged, window.until, hours)
        return found

    def _learn_flow(self, facilities: Facilities, hours: float) -> None:
        out = facilities.departed + facilities.delivered
        rates = np.stack([facilities.arrived, out], axis=1) / hours
        gain = 1.0 - np.exp(-hours / _FLOW_MEMORY)
        self._flow += gain * (rates - self._flow)

    def _judge(self, facilities: Facilities, now: Instant) -> _Judged:
        limits, hour = self._limits, hour_of_week(now, self._timezone)
        rows, stock, stalled = facilities.rows, facilities.stock, facilities.stalled
        # lorries come an hour or two off their time: the fullest of the hours around is the usual
        around = [(hour + shift) % HOURS_A_WEEK for shift in range(-2, 3)]
        usual = self._stock.usual(rows, *around)
        seen = self._stock.seen(rows, *around)
        ready = (self._stock.days(rows) >= limits.ready_days) & seen
        ratio = (stock + 1) / (usual + 1)
        network = float(np.median(ratio[ready])) if ready.sum() >= 5 else 1.0
        own = (self._flow[rows, 1] + 1) / (self._flow_usual[rows] + 1)
        traffic = np.maximum(1.0, np.maximum(network, own))
        adjusted = ratio / traffic
        stock_z = np.log(adjusted) / np.maximum(self._stock.scale(rows), 0.15)
        excess = stock - usual * traffic
        full = (
            ready
            & (adjusted >= limits.ratio)
            & (stock_z >= limits.deviations)
            & (excess >= limits.min_parcels)
        )
        total = self._stalled_share.sum(axis=0)
        common = (total[0] + 1) / (total[1] + 50)
        share = (self._stalled_share[rows, 0] + 200 * common) / (self._stalled_share[rows, 1] + 200)
        expected = share * stock
        # counts within a facility move together: the variance is taken at three times a binomial's
        stalled_z = (stalled - expected) / np.sqrt(3 * np.maximum(expected * (1 - share), 0.5))
        standing = (
            (self._network_days >= limits.ready_network_days)
            & (stalled >= limits.min_stalled)
            & (stalled >= limits.stalled_ratio * expected)
            & (stalled_z >= limits.deviations)
        )
        warm = (ready & (adjusted >= limits.calm_ratio) & (excess >= limits.min_parcels / 2)) | (
            (stalled >= limits.min_stalled / 2) & (stalled >= limits.stalled_ratio / 2 * expected)
        )
        return _Judged(
            rows, stock, stalled, usual, ratio, traffic, stock_z, stalled_z, expected, full | standing, warm
        )

    def _speak(self, judged: _Judged, facilities: Facilities, now: Instant) -> list[Finding]:
        limits, found = self._limits, []
        watched = judged.hot | judged.warm
        watched[self._stock.rows(list(self._hot_since))] = True
        keys = self._stock.keys
        for at in np.flatnonzero(watched).tolist():
            name = keys[at]
            subject = Subject(SubjectType.FACILITY, name)
            episode = self._episodes.get(subject)
            finding = None
            if judged.hot[at] or (episode is not None and judged.warm[at]):
                since = self._hot_since.setdefault(name, now)
                if episode is not None or now - since >= limits.hold_minutes * 60_000:
                    score = float(_score(max(judged.stock_z[at], judged.stalled_z[at])))
                    write = partial(self._evidence, judged, at, name, facilities, since)
                    old = 0 if episode is None else int(episode.evidence["stock"])
                    news = episode is not None and abs(judged.stock[at] - old) > 0.25 * max(old, 1)
                    finding = self._episodes.hold(
                        subject, started_at=since, now=now, score=score, evidence=write, news=news
                    )
            elif episode is None:
                self._hot_since.pop(name, None)
            elif now - episode.seen_at >= limits.calm_minutes * 60_000:
                since = self._hot_since.pop(name, episode.started_at)
                evidence = self._evidence(judged, at, name, facilities, since)
                finding = self._episodes.close(subject, now, CloseReason.RECOVERED, evidence)
            if finding is not None:
                found.append(finding)
        return found

    def _learn(self, judged: _Judged, now: Instant, hours: float) -> None:
        """What looks wrong teaches a tenth for a while: a jam must not become the usual, a rebuilt hub must."""
        days = min(hours, 6.0) / 24
        weight = np.where(judged.hot | judged.warm, 0.1, 1.0)
        lasting = [
            name for name, since in self._hot_since.items() if now - since > self._limits.accept_days * DAY
        ]
        weight[np.isin(judged.rows, self._stock.rows(lasting))] = 1.0
        hour = hour_of_week(now, self._timezone)
        self._stock.learn(judged.rows, hour, judged.stock / judged.traffic, days, weight)
        gain = weight * (1.0 - np.exp(-days / 7.0))
        fresh = self._flow_usual[judged.rows] == 0
        out = self._flow[judged.rows, 1]
        usual = self._flow_usual[judged.rows]
        self._flow_usual[judged.rows] = np.where(fresh, out, usual + gain * (out - usual))
        seen = np.stack([judged.stalled, judged.stock], axis=1)
        old = self._stalled_share[judged.rows]
        self._stalled_share[judged.rows] = old * (1 - gain)[:, None] + seen * (weight * days)[:, None]
        self._network_days += days

    def _evidence(
        self, judged: _Judged, at: int, name: str, facilities: Facilities, since: Instant
    ) -> dict[str, Any]:
        region, carrier = facilities.place(at)
        stock, stalled = int(judged.stock[at]), int(judged.stalled[at])
        usual, ratio = float(judged.usual[at]), float(judged.ratio[at])
        arrivals, departures = (float(rate) for rate in self._flow[judged.rows[at]])
        days = float(self._stock.days(judged.rows[at : at + 1])[0])
        start = stamp(since, self._timezone)
        if judged.stock_z[at] >= judged.stalled_z[at]:
            zh = (
                f"网点 {name} 积压 {stock:,} 件，是平时（约 {usual:,.0f} 件）的 {ratio:.1f} 倍，自 {start} 起"
            )
            en = (
                f"hub {name} holds {stock:,} parcels, {ratio:.1f} times the usual {usual:,.0f}, since {start}"
            )
        else:
            expected = float(judged.stalled_usual[at])
            zh = f"网点 {name} 的 {stock:,} 件中有 {stalled:,} 件停滞，平时约 {expected:,.0f} 件，自 {start} 起"
            en = f"at hub {name}, {stalled:,} of {stock:,} parcels stand still, usually {expected:,.0f}, since {start}"
        return {
            "facility": name,
            "region": region,
            "carrier": carrier,
            "stock": stock,
            "usual": round(usual, 1),
            "ratio": round(ratio, 2),
            "traffic_ratio": round(float(judged.traffic[at]), 2),
            "stalled": stalled,
            "stalled_usual": round(float(judged.stalled_usual[at]), 1),
            "arrivals_per_hour": round(arrivals, 1),
            "departures_per_hour": round(departures, 1),
            "deviations": round(float(max(judged.stock_z[at], judged.stalled_z[at])), 1),
            "since": since,
            "cases": round(days, 1),
            "zh": zh,
            "en": en,
        }

    def _grow(self, size: int) -> None:
        more = size - len(self._flow)
        if more > 0:
            self._flow = np.concatenate([self._flow, np.zeros((more, 2))])
            self._stalled_share = np.concatenate([self._stalled_share, np.zeros((more, 2))])
            self._flow_usual = np.concatenate([self._flow_usual, np.zeros(more)])

    def state(self) -> dict[str, Any]:
        return {
            "stock": self._stock.state(),
            "flow": pack(self._flow),
            "flow_usual": pack(self._flow_usual),
            "stalled_share": pack(self._stalled_share),
            "network_days": self._network_days,
            "hot_since": dict(self._hot_since),
            "episodes": self._episodes.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._stock.restore(state["stock"])
        self._flow = unpack(state["flow"])
        self._flow_usual = unpack(state["flow_usual"])
        self._stalled_share = unpack(state["stalled_share"])
        self._network_days = float(state["network_days"])
        self._hot_since = {str(name): int(since) for name, since in state["hot_since"].items()}
        self._episodes.restore(state["episodes"])


def _score(deviations: float) -> float:
    """Four deviations are even odds of a real jam, eight are sure: facilities' deviations have heavy tails."""
    return float(1.0 / (1.0 + np.exp(-(deviations - 4.0))))
