"""Which rises are real, over all cells at once, and which of them are one and the same.

The zones of the scan are the nodes of the region tree and pairs of neighbours. e-BH over all of them keeps the false
discovery rate whatever their dependence (nested cells share complaints). Of the discoveries, the strongest speaks;
what lies inside it, around it or beside it explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from detectors.complaint_cells import HOURS, Cells, Key
from detectors.counts import F64
from detectors.regions_tree import RegionTree
from detectors.rises import I64, Rises, discoveries
from detectors.usual import Judgement

MUCH_WORSE = 4.0  # times the ratio of the region around it
_FINEST_FIRST: Final = ("reason", "facility", "category", "carrier", "")
LEANING = 0.5  # log evidence from which a cell may be joined with its neighbour


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run knows of the cells it judged; `place` maps a row of `Cells` to a row here, or -1."""

    rows: I64
    place: I64
    days: Judgement
    hour_counts: F64  # of the last `HOURS` hours
    hour_means: F64
    log_evidence: F64
    began: I64  # hours ago
    tested: int  # cells that could have spoken


@dataclass(slots=True)
class Zone:
    lead: Key
    regions: list[str]
    log_evidence: float
    began: int  # hours ago
    ratio: float
    support: list[Key] = field(default_factory=list)


def read(cells: Cells, hours: Rises, part_of_hour: float) -> Reading:
    """Judges the cells with a complaint in the last day; the others have no rise that is still there."""
    rows = np.flatnonzero((cells.hours[:, -24:].sum(axis=1) > 0) & (cells.usual.fitted_at >= 0))
    place = np.full(len(cells.keys), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    shares, passed = cells.elapsed(part_of_hour)
    exposure = cells.exposure_now(rows)
    days = cells.usual.judge(cells.today()[rows], exposure * passed, rows)
    now = cells.hour % 24
    counts = cells.hours[rows].astype(np.float64)
    of_hour = np.array([shares[(now - back) % 24] for back in range(HOURS - 1, -1, -1)])
    of_hour[-1] *= part_of_hour
    days_ago = np.array([(back + 23 - now) // 24 for back in range(HOURS - 1, -1, -1)])
    whole = days.means.copy()
    whole[:, -1] /= max(passed, 1e-6)
    means = whole[:, -1 - days_ago] * of_hour
    log_evidence, began = _weigh(hours, counts, means, days, now)
    tested = int((cells.usual.fitted_at >= 0).sum())
    return Reading(rows, place, days, counts, means, log_evidence, began, tested)


def _weigh(hours: Rises, counts: F64, means: F64, days: Judgement, now: int) -> tuple[F64, I64]:
    """The mean of two e-values is one: from the hours (jumps) and from the days (slow rises)."""
    look = slice(-hours.steps, None)
    variance = np.repeat(days.log_variance[:, -1:], hours.steps, axis=1)
    said = hours.judge(counts[:, look], means[:, look], days.dispersion, variance, means[:, look] <= 0)
    log_evidence = np.logaddexp(said.log_evidence, days.verdicts.log_evidence) - np.log(2)
    slow = (days.verdicts.log_evidence > said.log_evidence) & (days.verdicts.age > 0)
    began = np.where(slow, days.verdicts.age * 24 + now, said.age)
    return log_evidence, began


def zones(cells: Cells, tree: RegionTree, hours: Rises, reading: Reading, rate: float) -> list[Zone]:
    keys = [cells.keys[row] for row in reading.rows]
    pairs = _pairs(keys, tree, reading)
    joint, joint_began = _joined(reading, pairs, cells.usual.pattern.rises, hours, cells.hour % 24)
    silent = max(reading.tested - len(keys), 0)
    everything = np.concatenate([reading.log_evidence, joint, np.full(silent, -np.inf)])
    found = discoveries(everything, rate)
    began = np.concatenate([reading.began, joint_began])
    items = [(key,) for key in keys] + [(keys[a], keys[b]) for a, b in pairs]
    taken: list[Zone] = []
    for item in _strongest_first(everything[: len(items)], items):
        if found[item]:
            hours_ago = int(began[item])
            rows = reading.place[[cells.rows[key] for key in items[item]]]
            ratio = _ratio(reading, rows, hours_ago)
            _take(
                taken,
                Zone(
                    items[item][0],
                    list(_regions(items[item], cells)),
                    float(everything[item]),
                    hours_ago,
                    ratio,
                    list(items[item][1:]),
                ),
                tree,
            )
    return taken


def _strongest_first(log_evidence: F64, items: Sequence[tuple[Key, ...]]) -> I64:
    """Of equals the finer dimension, which says more. Equal to the sixth digit: processors differ in the last ones."""
    fineness = np.array([_FINEST_FIRST.index(keys[0].dimension) for keys in items], np.int64)
    return np.lexsort((fineness, -log_evidence.round(6)))


def _ratio(reading: Reading, rows: I64, hours_ago: int) -> float:
    recent = slice(-min(hours_ago + 1, HOURS), None)
    return shrunk(
        float(reading.hour_counts[rows, recent].sum()), float(reading.hour_means[rows, recent].sum())
    )


def shrunk(seen: float, usual: float) -> float:
    """A ratio that a few cases do not make large."""
    return (seen + 2) / (usual + 2)


def _regions(keys: tuple[Key, ...], cells: Cells) -> Iterator[str]:
    for key in keys:
        region = key.region or cells.home_of.get(key.value, "")
        if region:
            yield region


def _pairs(keys: list[Key], tree: RegionTree, reading: Reading) -> list[tuple[int, int]]:
    """Neighbours of the same dimension that both lean upwards, the stronger first."""
    index = {key: at for at, key in enumerate(keys)}
    found = []
    for at, key in enumerate(keys):
        if reading.log_evidence[at] > LEANING:
            for other in tree.neighbours(key.region) if key.region else ():
                beside = index.get(key._replace(region=other), -1)
                if beside >= 0 and LEANING < reading.log_evidence[beside] <= reading.log_evidence[at]:
                    found.append((at, beside))
    return found


def _joined(
    reading: Reading, pairs: list[tuple[int, int]], slow: Rises, hours: Rises, now: int
) -> tuple[F64, I64]:
    """Evidence of pairs: their counts and means added, their spread in between."""
    if not pairs:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    days = reading.days
    weight = days.means.sum(axis=1)
    share = weight[one] / np.maximum(weight[one] + weight[other], 1e-9)
    dispersion = share * days.dispersion[one] + (1 - share) * days.dispersion[other]
    variance = share[:, None] * days.log_variance[one] + (1 - share)[:, None] * days.log_variance[other]
    counts, means = days.counts[one] + days.counts[other], days.means[one] + days.means[other]
    verdicts = slow.judge(counts, means, dispersion, variance, means <= 0)
    both = Judgement(days.ready[one], counts, means, dispersion, variance, verdicts)
    hour_counts = reading.hour_counts[one] + reading.hour_counts[other]
    return _weigh(hours, hour_counts, reading.hour_means[one] + reading.hour_means[other], both, now)


def _take(taken: list[Zone], new: Zone, tree: RegionTree) -> None:
    """Speaks for itself, or explains a stronger zone that it touches."""
    for zone in taken:
        same_matter = new.lead[:2] == zone.lead[:2]
        beside = same_matter and any(
            not set(tree.neighbours(one)).isdisjoint(zone.regions) for one in new.regions
        )
        if beside or new.lead == zone.lead or swallows(tree, zone.regions, zone.ratio, new):
            zone.support += [new.lead, *new.support]
            if same_matter:
                apart = [
                    one for one in new.regions if not any(tree.related(one, held) for held in zone.regions)
                ]
                zone.regions += apart
            return
    taken.append(new)


def swallows(tree: RegionTree, regions: list[str], ratio: float, new: Zone) -> bool:
    """Whether what goes on in these regions explains the new zone: it lies around them, or inside them without
    being much worse than they are as a whole.
    """
    for one in new.regions:
        for held in regions:
            if one in tree.chain(held) or (held in tree.chain(one) and new.ratio < MUCH_WORSE * ratio):
                return True
    return False


def apart(tree: RegionTree, zone: Zone, resting: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The zone's regions that no resting one speaks for, and the resting ones within them: what happened there was told.
    `resting`: region to the ratio that was told of it.
    """
    own = [
        one
        for one in zone.regions
        if not any(
            held in tree.chain(one) and zone.ratio < MUCH_WORSE * told for held, told in resting.items()
        )
    ]
    within = [held for held in resting if any(one != held and one in tree.chain(held) for one in own)]
    return own, [
        held for held in within if not any(one != held and one in tree.chain(held) for one in within)
    ]
