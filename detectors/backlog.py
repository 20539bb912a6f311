"""`backlog_forecast`: what a facility will hold in 24 and 72 hours, and what it would take to clear it.

Arrivals and departures each have a usual by hour of the week; the last hours say how far the present stands from it,
and that deviation fades towards the usual. Departures are bounded by what there is to send. Where much more comes than usual,
as in a sale, it is a backlog only while departures do not keep up (`detectors.backlog_flow`). The interval is not a
theory but the detector's own record: forecasts of a day and of three days ago are compared with what came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors import backlog_kernels as kernels
from detectors.backlog_flow import Bools, Flow
from detectors.clock import HOUR, HOURS_A_WEEK, hour_of_week, stamp
from detectors.episodes import Episodes
from detectors.facilities import Facilities
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.plain import pack, unpack
from detectors.resting import Rest
from detectors.rhythm import Rhythm
from detectors.room import Room
from detectors.weeks import HORIZONS, Weeks, forecast, fullest

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

STEP: Final = 3  # hours from forecast to forecast, and of the stretches of the week that are usual
_RECENT: Final = 24.0  # hours over which that deviation is taken: lorries come by the hour
_Z90: Final = 1.645
_ERRORS: Final = 1.2533  # standard deviations in a mean absolute error of a normal one

_RECORD_DAYS: Final = 6.0  # of forecasts that have come true or not, before one is told


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    ready_days: float = 8.0  # every hour of the week was there once
    min_parcels: int = 50  # over the usual, in the forecast
    ratio: float = 2.0  # forecast stock over the usual
    calm_ratio: float = 1.3
    clear_days: float = 2.0  # by when the advice wants the excess gone
    per_courier: float = 80.0  # parcels a day


class BacklogForecast:
    name = "backlog_forecast"
    every = STEP * HOUR
    wants = frozenset({"facilities"})

    def __init__(
        self, *, timezone: str = "Asia/Shanghai", limits: BacklogLimits | None = None, capacity: int = 20_000
    ) -> None:
        self._timezone = timezone
        self._limits = limits or BacklogLimits()
        self._stock = Rhythm(capacity, hours=STEP)
        self._arrivals = Rhythm(capacity, self._stock.names, hours=STEP)
        self._departures = Rhythm(capacity, self._stock.names, hours=STEP)
        self._weeks = [Weeks(one) for one in (self._arrivals, self._departures, self._stock)]
        self._flow = Flow()
        # One column a facility. Decayed arrivals and departures: as they came, and as usual.
        self._sums = np.zeros((4, 0))
        self._error = np.zeros((2, 0))  # mean absolute error of past forecasts, by horizon
        # A ring of forecasts by the stretch in which they were made and horizon.
        self._told: F32 = np.full((HORIZONS[-1] // STEP, 2, 0), np.nan, dtype=np.float32)
        self._rest = Rest()
        self._run_at = 0  # its number since 1970
        self._episodes = Episodes(self.name, Kind.BACKLOG_FORECAST, step=0.15)
        self._room = Room(self._stock.names, self._spoken)

    def run(self, window: Window) -> list[Finding]:
        now, hours = window.until, (window.until - window.since) / HOUR
        facilities = self._enter(window)
        if not len(facilities) or hours <= 0:
            return []
        stock = facilities.stock
        slot = (hour_of_week(now, self._timezone) - 1) % HOURS_A_WEEK // STEP  # that is over
        deviation = self._deviate(facilities, slot, hours)
        told = self._forecast(stock, deviation, slot)
        self._check(stock, told, now // self.every)
        flows = self._flow.follow(
            stock,
            facilities.arrived,
            self._weeks[1].usual(slot),
            self._weeks[2].usual((slot + 1) % self._stock.slots),
            hours,
        )
        found = self._speak(facilities, told, flows, hours, now, (slot + 1) % self._stock.slots)
        self._learn(facilities, slot, hours, now)
        return found

    def uncounted(self) -> Mapping[str, int]:
        return self._room.uncounted()

    def _enter(self, window: Window) -> Facilities:
        facilities = Facilities(window, self._stock, self._room)
        self._arrivals.follow()
        self._departures.follow()
        self._grow(len(facilities))
        for week in self._weeks:
            week.follow()
        if len(facilities.renewed):
            self._renew(facilities.renewed)
        return facilities

    def _renew(self, rows: I64) -> None:
        for rhythm in (self._arrivals, self._departures, self._stock):
            rhythm.renew(rows)
        for week in self._weeks:
            week.renew(rows)
        self._sums[:, rows] = self._error[:, rows] = 0.0
        self._told[..., rows] = np.nan
        self._flow.renew(rows)

    def _spoken(self) -> list[int]:
        """Of open episodes."""
        return [self._stock.row(episode.subject.id) for episode in self._episodes.all()]

    def _deviate(self, facilities: Facilities, slot: int, hours: float) -> F32:
        """Log of arrivals and of departures over their usual, in the last day."""
        come, go = (week.usual(slot) for week in self._weeks[:2])
        keep = float(np.exp(-hours / _RECENT))
        ratios = kernels.deviate(facilities.arrived, facilities.out, come, go, hours, keep, self._sums)
        # numpy takes eight logarithms at a time, compiled code one
        return np.asarray(np.log(ratios), np.float32)

    def _forecast(self, stock: F64, deviation: F32, slot: int) -> F32:
        """Stock by horizon and facility; NaN of a facility that nothing could be said of in time."""
        some = self._stock.ages() >= self._limits.ready_days - _RECORD_DAYS
        if not some.any():
            return np.full((len(HORIZONS), len(stock)), np.nan, np.float32)
        told = forecast(self._weeks, stock, deviation, slot)
        if not some.all():
            told[:, ~some] = np.nan
        return told

    def _check(self, stock: F64, forecast: F32, at: int) -> None:
        """Compare with what was forecast for now; keep what is forecast now. A gap in time breaks the record."""
        if at != self._run_at + 1:
            self._told[:] = np.nan
        ring, size = len(self._told), len(stock)
        for row, horizon in enumerate(HORIZONS):
            kernels.check(stock, self._told[(at - horizon // STEP) % ring, row, :size], self._error[row])
        self._told[at % ring] = np.nan
        self._told[at % ring, :, :size] = forecast
        self._run_at = at

    def _speak(
        self,
        facilities: Facilities,
        forecast: F32,
        flows: Bools,
        hours: float,
        now: Instant,
        slot: int,
    ) -> list[Finding]:
        limits, found = self._limits, list[Finding]()
        ready = self._stock.ages() >= limits.ready_days
        if not ready.any():
            return found
        usual = self._peaks(slot)
        over = np.asarray(
            kernels.too_much(
                forecast,
                usual,
                self._error[:, : len(ready)],
                ready,
                limits.min_parcels,
                limits.ratio,
                _ERRORS * _Z90,
            )
        )
        over &= ~flows
        spoken = over.copy()
        spoken[self._spoken()] = True
        for at in np.flatnonzero(spoken).tolist():
            name = self._stock.key(at)
            subject = Subject(SubjectType.FACILITY, name)
            place = (name, *facilities.place(at))
            told, usually = forecast[:, at].astype(np.float64), usual[:, at].astype(np.float64)
            margin = self._margin(at, told)
            passing = np.array([facilities.arrived[at], facilities.out[at]]) / hours
            evidence = self._evidence(place, facilities.stock[at], told, margin, usually, passing, now)
            episode = self._episodes.get(subject)
            finding = None
            if over[at]:
                chance = float(_above(told, usually + limits.min_parcels, margin))
                old = None if episode is None else float(episode.evidence["forecast_24"])
                news = old is not None and abs(evidence["forecast_24"] - old) > 0.25 * max(old, 1.0)
                started = now if episode is None else episode.started_at
                finding = self._episodes.hold(
                    subject, started_at=started, now=now, score=chance, evidence=evidence, news=news
                )
            elif episode is not None and (flows[at] or (told < limits.calm_ratio * (usually + 1)).all()):
                finding = self._episodes.close(subject, now, CloseReason.RECOVERED, evidence)
            if finding is not None:
                found.append(finding)
        return found

    def _peaks(self, slot: int) -> F32:
        """The fullest usual hour about each horizon, by horizon and facility."""
        week = self._weeks[-1]
        return np.asarray(fullest(week.factor, week.scale(), slot), np.float32)

    def _margin(self, rows: int | I64, forecast: F64) -> F64:
        """By horizon, half of a 90 % interval: from past errors, or, before there are any, from the size of the stock."""
        known = self._error[:, rows]
        guess = np.sqrt(forecast + 1.0) + 0.3 * forecast
        return np.asarray(np.where(known > 0, _ERRORS * known * _Z90, guess * _Z90))

    def _evidence(
        self,
        place: tuple[str, str | None, str | None],
        stock: float,
        forecast: F64,
        margin: F64,
        usual: F64,
        flows: F64,
        now: Instant,
    ) -> dict[str, Any]:
        limits, (name, region, carrier) = self._limits, place
        excess = max(float((forecast - usual).max()), float(stock - usual[0]), 0.0)
        extra = int(np.ceil(excess / limits.clear_days))
        people = int(np.ceil(extra / limits.per_courier))
        by = now + round(limits.clear_days * 24) * HOUR
        clears = _clears(extra, people, stamp(by, self._timezone))
        low, high = np.maximum(forecast - margin, 0.0), forecast + margin
        return {
            "facility": name,
            "region": region,
            "carrier": carrier,
            "stock": int(stock),
            "arrivals_per_hour": round(float(flows[0]), 1),
            "departures_per_hour": round(float(flows[1]), 1),
            **{
                f"{word}_{horizon}": round(float(values[index]))
                for index, horizon in enumerate(HORIZONS)
                for word, values in (("forecast", forecast), ("low", low), ("high", high), ("usual", usual))
            },
            "extra_per_day": extra,
            "extra_couriers": people,
            "clear_by": by,
            "cases": round(float(self._stock.days(self._stock.rows([name]))[0]), 1),
            "zh": (
                f"网点 {name} 现存 {stock:,.0f} 件，预计 24 小时后 {forecast[0]:,.0f} 件（{low[0]:,.0f}–{high[0]:,.0f}），"
                f"72 小时后 {forecast[1]:,.0f} 件；{clears[0]}"
            ),
            "en": (
                f"hub {name} holds {stock:,.0f} parcels, {forecast[0]:,.0f} expected in 24 hours ({low[0]:,.0f} to "
                f"{high[0]:,.0f}) and {forecast[1]:,.0f} in 72; {clears[1]}"
            ),
        }

    def _learn(self, facilities: Facilities, slot: int, hours: float, now: Instant) -> None:
        rests = self._rest.rests(float(facilities.arrived.sum()), hours, now)
        if rests or hours > 2 * STEP:  # what an outage hid cannot be told by hours
            return
        days, rows, stock = hours / 24, facilities.rows, facilities.stock
        after = (slot + 1) % self._stock.slots
        jammed = stock > 3.0 * (self._stock.usual(rows, slot) + 10)
        weight = np.where(jammed & (self._stock.ages() > self._limits.ready_days), 0.2, 1.0)
        self._arrivals.learn(rows, slot, facilities.arrived / hours, days)
        self._departures.learn(rows, slot, facilities.out / hours, days, weight)
        self._stock.learn(rows, after, stock, days, weight)
        for week, learned in zip(self._weeks, (slot, slot, after), strict=True):
            week.learned(learned)

    def _grow(self, size: int) -> None:
        """Four times the room at a time: a ring of three days is much to copy for one more hub."""
        room = self._sums.shape[1]
        more = max(size - room, 3 * room, 256 - room) if size > room else 0
        if more:
            self._sums = np.concatenate([self._sums, np.zeros((4, more))], axis=1)
            self._error = np.concatenate([self._error, np.zeros((2, more))], axis=1)
            blank = np.full((len(self._told), 2, more), np.nan, dtype=np.float32)
            self._told = np.concatenate([self._told, blank], axis=2)

    def state(self) -> dict[str, Any]:
        size = len(self._stock)
        return {
            "arrivals": self._arrivals.state(),
            "departures": self._departures.state(),
            "stock": self._stock.state(),
            "flow": self._flow.state(size),
            "sums": pack(self._sums[:, :size].T),
            "error": pack(self._error[:, :size].T),
            "told": pack(self._told[:, :, :size].transpose(2, 0, 1)),
            "run_at": self._run_at,
            "rest": self._rest.state(),
            "episodes": self._episodes.state(),
            "room": self._room.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("arrivals", "departures", "stock", "episodes"):
            getattr(self, f"_{name}").restore(state[name])
        self._sums, self._error = (np.ascontiguousarray(unpack(state[name]).T) for name in ("sums", "error"))
        self._flow.restore(state.get("flow"))
        told = np.ascontiguousarray(unpack(state["told"]).transpose(1, 2, 0))
        # A checkpoint without the number had forecasts of every hour.
        self._told = (
            told if "run_at" in state else np.full((len(self._told), *told.shape[1:]), np.nan, np.float32)
        )
        self._run_at = int(state.get("run_at", 0))
        self._room.restore(state.get("room"))
        if "rest" in state:  # younger than the format
            self._rest.restore(state["rest"])
        for week in self._weeks:
            week.forget()


def _clears(extra: int, people: int, when: str) -> tuple[str, str]:
    """What must be done, in Chinese and English."""
    if extra == 0:
        return "无需额外处理", "nothing more has to be done"
    couriers = "1 courier" if people == 1 else f"{people:,} couriers"
    return (
        f"每天多处理 {extra:,} 件（约 {people} 名快递员）可在 {when} 前恢复正常",
        f"{extra:,} more a day (about {couriers}) clear it by {when}",
    )


def _above(forecast: F64, line: F64, margin: F64) -> float:
    """The chance that the stock will be above the line at the likelier horizon, errors taken as logistic."""
    z = (forecast - line) / np.maximum(margin / _Z90, 1.0)
    return float(np.max(1.0 / (1.0 + np.exp(-1.7 * np.clip(z, -20, 20)))))
