"""More complaints than usual somewhere: jumps and slow rises, per parcel delivered, before the hour and day are over.

The usual of each cell is `detectors.usual` on days, cut into hours by the learned profile of the day; evidence is an
e-value (`detectors.rises`), so looking every few minutes at a day that fills costs no false alarms, and the false
discovery rate over all cells is kept by e-BH (`detectors.complaint_zones`). Over time: sums over possible beginnings
keep the mean time to a false alarm of a cell above the limit (Shiryaev and Roberts), and an episode that closed
rests before its place may open another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from detectors.clock import HOUR, offset_of
from detectors.complaint_cells import Cells, Gathering, Key
from detectors.complaint_evidence import beyond, evidence_of, subject_of
from detectors.complaint_zones import Reading, Zone, apart, read, shrunk, swallows, zones
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.pattern import DAYS, Pattern
from detectors.regions_tree import RegionTree
from detectors.rises import Rises, plateau

COUNTED: Final = frozenset({"opened", "reopened"})
NEWS: Final = 1.5  # times as many complaints as were last told
FIT_BUDGET: Final = 12_000  # cells times days fitted in one run, some 20 ms


@dataclass(frozen=True)
class SpikeConfig:
    """`pattern`'s steps are days. Young shops are judged from the fifth day on, with wide limits."""

    pattern: Pattern = field(
        default_factory=lambda: replace(
            DAYS,
            rises=replace(DAYS.rises, step_limit=5.0),
            history=730,
            minimum=5,
            season_after=1.9,
            refit_every=1,
            guard=2,
            level_steps=14,
            level_guard=3,
        )
    )
    hours: Rises = field(
        default_factory=lambda: Rises(
            (plateau(3), plateau(8), plateau(24)), (2.0, 4.0, 8.0, 16.0), step_limit=8.0
        )
    )
    gathering: Gathering = field(default_factory=Gathering)
    false_discoveries: float = 0.05
    min_cases: int = 5
    min_ratio: float = 1.5
    calm_ratio: float = 1.3
    calm_hours: int = 6
    rest_hours: int = 12


@dataclass(slots=True)
class _Watch:
    """Of an open episode: its zone, when it was last above the usual, and what was last told."""

    lead: Key
    regions: list[str]
    since: int  # local hour
    hot: int  # local hour
    told: int
    ratio: float


class _Rest(NamedTuple):
    """Of an episode that closed: in which local hour, and what it spoke for."""

    hour: int
    regions: list[str]
    ratio: float


class ComplaintSpike:
    name = "complaint_spike"
    every = 600_000
    wants = frozenset({"complaints", "regions", "facilities"})

    def __init__(
        self,
        *,
        config: SpikeConfig | None = None,
        timezone: str = "Asia/Shanghai",
        parents: Mapping[str, str | None] | None = None,
        neighbours: Mapping[str, tuple[str, ...]] | None = None,
        names: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """`names`: region to its Chinese and English name; `neighbours`: regions of the same level that touch."""
        self._config = config or SpikeConfig()
        self._timezone = timezone
        self._tree = RegionTree(parents, neighbours, names)
        self._cells = Cells(self._config.pattern, self._config.gathering, self._tree.chain)
        self._episodes = Episodes(self.name, Kind.COMPLAINT_SPIKE, limit=500)
        self._watches: dict[Subject, _Watch] = {}
        self._rests: dict[Subject, _Rest] = {}

    def run(self, window: Window) -> list[Finding]:
        offset = offset_of(window.until, self._timezone)
        local = window.until + offset
        self._advance(window, (window.since + offset) // HOUR, local // HOUR)
        self._count(window, offset)
        if not self._cells.keys and not self._watches:
            return []
        self._refit()
        part = max(local % HOUR, HOUR // 60) / HOUR
        reading = read(self._cells, self._config.hours, part)
        found = self._open(reading, window.until, offset)
        return found + self._review(reading, window.until)

    def uncounted(self) -> Mapping[str, int]:
        return {"no_room": self._cells.refused, "no_place": self._cells.unplaced}

    # --- learning -----------------------------------------------------------

    def _advance(self, window: Window, since: int, until: int) -> None:
        """Hour by hour in pieces of a day, so that each day gets its share of a wide window's parcels."""
        cells = self._cells
        if cells.hour < 0:
            cells.advance(since)
        gap = max(until - cells.hour, 0)
        pieces = [24] * (gap // 24) + ([gap % 24] if gap % 24 or not gap else [])
        if gap > 24 * cells.usual.pattern.history:
            pieces = [gap]
        for piece in pieces:
            share = piece / gap if gap else 1.0
            cells.expose(window.table("regions"), window.table("facilities"), share)
            cells.advance(cells.hour + piece)

    def _count(self, window: Window, offset: int) -> None:
        told = window.complaints
        if not told.height:
            return
        counted = [
            (row, (min(row["occurred"], window.until) + offset) // HOUR)
            for row in told.iter_rows(named=True)
            if row["status"] in COUNTED
        ]
        self._cells.count(counted)

    def _refit(self) -> None:
        """The countries first: the others are held to them."""
        cells, usual = self._cells, self._cells.usual
        due = usual.due()
        if not len(due):
            return
        top = np.array([not cells.parent(cells.keys[row]) for row in due])
        whole = np.array([not cells.keys[row].dimension for row in due])
        rest = due[~top][np.argsort(usual.fitted_at[due[~top]], kind="stable")]  # the longest unfitted first
        room = max(FIT_BUDGET // max(int(usual.known()[due].max()), 1), 8)
        for some in (due[top & whole], due[top & ~whole], rest[:room]):
            if len(some):
                usual.refit(some, self._prior(some))

    def _prior(
        self, rows: np.ndarray[Any, np.dtype[np.int64]]
    ) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """The coefficients of the same complaints in the whole country, or of all of them with the cell's own rate."""
        cells, usual = self._cells, self._cells.usual
        held = np.zeros((len(rows), usual.pattern.columns))
        for at, row in enumerate(rows):
            key = cells.keys[row]
            region = key.region or cells.home_of.get(key.value, "")
            country = self._tree.chain(region)[-1] if region else ""
            same = cells.rows.get(key._replace(region=country), -1)
            every = cells.rows.get(Key("", "", country), -1)
            larger = next(
                (one for one in (same, every) if one not in {-1, row} and usual.fitted_at[one] >= 0), -1
            )
            if larger < 0:
                return None
            held[at] = usual.coefficients[larger]
            if larger != same:
                cases = usual.counts[row].sum() + 0.5
                exposed = usual.exposure[row] @ np.exp(
                    usual.pattern.calendar(
                        np.arange(usual.step - usual.pattern.history, usual.step), usual.origin
                    )
                    @ held[at]
                )
                held[at, 0] += np.log(cases / max(float(exposed), 1e-9))
        return held

    # --- episodes -----------------------------------------------------------

    def _open(self, reading: Reading, now: Instant, offset: int) -> list[Finding]:
        config, found = self._config, list[Finding]()
        resting = self._resting()
        spoken: set[Subject] = set()
        for zone in zones(self._cells, self._tree, config.hours, reading, config.false_discoveries):
            inside = self._inside(zone)
            watched = None if inside else self._watched(zone)
            subject = watched or subject_of(zone, self._cells)
            hour = self._watches[watched].since if watched else self._cells.hour - zone.began
            evidence = evidence_of(zone, reading, self._cells, self._tree, hour, offset, self._timezone)
            if subject in spoken or (
                watched is None and self._quiet(subject, zone, resting, reading, evidence)
            ):
                continue
            spoken.add(subject)
            for smaller in inside:
                del self._watches[smaller]
                closed = self._episodes.close(smaller, now, CloseReason.SUPERSEDED)
                found += [closed] if closed else []
            finding = self._hold(subject, zone, hour, evidence, now=now, offset=offset, tested=reading.tested)
            found += [finding] if finding else []
        return found

    def _hold(
        self,
        subject: Subject,
        zone: Zone,
        hour: int,
        evidence: Mapping[str, Any],
        *,
        now: Instant,
        offset: int,
        tested: int,
    ) -> Finding | None:
        seen, running = evidence["seen"], self._cells.hour
        watch = self._watches.setdefault(
            subject, _Watch(zone.lead, zone.regions, hour, running, seen, zone.ratio)
        )
        news = seen >= NEWS * watch.told
        if news:
            watch.told = seen
        watch.ratio = shrunk(seen, evidence["expected"])
        if evidence["ratio"] >= self._config.calm_ratio:
            watch.hot = running
        finding = self._episodes.hold(
            subject,
            started_at=min(hour * HOUR - offset, now),
            now=now,
            score=_sure(zone.log_evidence, tested),
            evidence=evidence,
            news=news,
        )
        if subject not in self._episodes:  # there are too many already
            del self._watches[subject]
        return finding

    def _watched(self, zone: Zone) -> Subject | None:
        """The open episode that already speaks for this zone."""
        subject = subject_of(zone, self._cells)
        if subject in self._watches:
            return subject
        speaking = (
            known
            for known, watch in self._watches.items()
            if swallows(self._tree, watch.regions, watch.ratio, zone)
        )
        return next(speaking, None)

    def _inside(self, zone: Zone) -> list[Subject]:
        """Open episodes of smaller places that this zone, stronger than all of them, contains."""
        return [
            known
            for known, watch in self._watches.items()
            if watch.regions
            and known != subject_of(zone, self._cells)
            and all(
                any(one != held and one in self._tree.chain(held) for one in zone.regions)
                for held in watch.regions
            )
        ]

    def _resting(self) -> dict[str, float]:
        """The regions that rest, each with the largest ratio that was told of it."""
        hour, rest_hours = self._cells.hour, self._config.rest_hours
        self._rests = {one: rest for one, rest in self._rests.items() if hour - rest.hour < rest_hours}
        found: dict[str, float] = {}
        for rest in self._rests.values():
            for region in rest.regions:
                found[region] = max(rest.ratio, found.get(region, 0.0))
        return found

    def _quiet(
        self,
        subject: Subject,
        zone: Zone,
        resting: Mapping[str, float],
        reading: Reading,
        evidence: Mapping[str, Any],
    ) -> bool:
        """A place that rests, or one that has too little beside what was told of places that rest."""
        config = self._config
        if subject in self._rests:
            return True
        seen, ratio = int(evidence["seen"]), float(evidence["ratio"])
        own, told = apart(self._tree, zone, resting)
        if told or own != zone.regions:
            seen, usual = beyond(zone, own, told, reading, self._cells, evidence["hours"])
            ratio = seen / max(usual, 0.1)
        return seen < config.min_cases or ratio < config.min_ratio

    def _review(self, reading: Reading, now: Instant) -> list[Finding]:
        """Closes what has been back to its usual for some hours."""
        found: list[Finding] = []
        hour = self._cells.hour
        for subject, watch in list(self._watches.items()):
            row = self._cells.rows.get(watch.lead, -1)
            at = reading.place[row] if row >= 0 else -1
            if at >= 0:
                recent = slice(-self._config.calm_hours, None)
                seen = reading.hour_counts[at, recent].sum()
                usual = reading.hour_means[at, recent].sum()
                if seen > max(self._config.calm_ratio * usual, 1.0):
                    watch.hot = hour
            if hour - watch.hot >= self._config.calm_hours:
                finding = self._episodes.close(subject, now, CloseReason.RECOVERED)
                del self._watches[subject]
                self._rests[subject] = _Rest(hour, watch.regions, watch.ratio)
                found += [finding] if finding else []
        return found

    # --- checkpoints --------------------------------------------------------

    def state(self) -> dict[str, Any]:
        watches = [
            [str(s.type), s.id, list(w.lead), w.regions, w.since, w.hot, w.told, w.ratio]
            for s, w in self._watches.items()
        ]
        rests = [[str(s.type), s.id, *rest] for s, rest in self._rests.items()]
        return {
            "cells": self._cells.state(),
            "episodes": self._episodes.state(),
            "watches": watches,
            "rests": rests,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._cells.restore(state["cells"])
        self._episodes.restore(state["episodes"])
        self._watches = {
            Subject(SubjectType(kind), name): _Watch(
                Key(*lead), list(regions), int(since), int(hot), int(told), float(ratio)
            )
            for kind, name, lead, regions, since, hot, told, ratio in state["watches"]
        }
        self._rests = {  # a checkpoint of before knows no regions
            Subject(SubjectType(kind), name): _Rest(int(hour), list(more[0]), float(more[1]))
            if more
            else _Rest(int(hour), [], 1.0)
            for kind, name, hour, *more in state["rests"]
        }


def _sure(log_evidence: float, tested: int) -> float:
    """As if, of all cells tested, one were in a rise."""
    return float(1 / (1 + max(tested, 2) * np.exp(-min(log_evidence, 700.0))))
