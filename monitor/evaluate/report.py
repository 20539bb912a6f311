"""One row a detector, a family of detectors, and the whole; as JSON, as a table, as curves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from monitor.evaluate.costs import Costs
from monitor.evaluate.matching import Matched, match
from monitor.evaluate.measures import Measures, measure
from monitor.evaluate.records import STALLS, actions, anomalies, episodes, world

COLUMNS = (
    "detector", "anomalies", "found", "precision", "recall", "f1", "alarms_a_day", "lead_hours", "found_before",
    "told_before", "brier", "cost_per_averted",
)  # fmt: skip
# what it is judged by: the anomalies of another family
JUDGED_BY = {"late_predicted": "promise_broken"}
WITHOUT_TRUTH = frozenset({"backlog_forecast"})


@dataclass(frozen=True, slots=True)
class Report:
    """`told_of_silent_feeds`: customers written to because of a feed's silence, where nothing was wrong."""

    scenario: str
    days: float
    measures: tuple[Measures, ...]
    told_of_silent_feeds: int
    unjudged: dict[str, int]

    def columns(self) -> tuple[str, ...]:
        return COLUMNS

    def rows(self) -> list[dict[str, Any]]:
        return [{name: getattr(row, name) for name in COLUMNS} for row in self.measures]

    def row(self, detector: str) -> Measures:
        """Of a detector or family; KeyError names those there are."""
        for one in self.measures:
            if one.detector == detector:
                return one
        raise KeyError(f"{detector}: there are {', '.join(one.detector for one in self.measures)}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(replay_dir: Path, truth_file: Path, costs: Costs | None = None) -> Report:
    """FileNotFoundError and ValueError name the file; `actions.ndjson` may be missing, then nobody was told."""
    found = episodes(replay_dir / "findings.ndjson")
    truth = anomalies(truth_file)
    done = actions(replay_dir / "actions.ndjson")
    here = world(truth_file, found)
    matched = match(found, truth, here)
    major = truth.filter(~pl.col("minor"))
    prices = costs or Costs()

    def row(name: str, mine: pl.DataFrame, wanted: pl.DataFrame) -> Measures:
        ids = set(wanted["anomaly"].to_list())
        own = set(mine["finding_id"].to_list())
        pairs = matched.pairs.filter(
            pl.col("finding_id").is_in(list(own)) & pl.col("anomaly").is_in(list(ids))
        )
        relevant = done.filter(pl.col("finding_id").is_in(list(own)))
        return measure(
            here.scenario, name, mine, wanted, pairs, matched.left_out, relevant, here.days, prices
        )

    rows = []
    for family in sorted({*found["family"].to_list(), *major["family"].to_list()} - WITHOUT_TRUTH):
        mine = found.filter(pl.col("family") == family)
        wanted = major.filter(pl.col("family") == JUDGED_BY.get(family, family))
        rows.append(row(family, mine, wanted))
        if family == "stall":
            rows += [
                _segment(row, kind, mine, wanted, matched)
                for kind in STALLS
                if kind in mine["kind"].to_list() or kind in wanted["kind"].to_list()
            ]
    others = found.filter(pl.col("family").is_in(list(WITHOUT_TRUTH)))
    return Report(
        scenario=here.scenario,
        days=round(here.days, 2),
        measures=tuple(rows),
        told_of_silent_feeds=_told_of_silence(found, truth, matched, done),
        unjudged=dict(others.group_by("kind").len().sort("kind").iter_rows()),
    )


def _segment(row: Any, kind: str, mine: pl.DataFrame, wanted: pl.DataFrame, matched: Matched) -> Measures:
    """Precision of the episodes of this kind; recall of the anomalies of this kind, by whichever stall found them."""
    of_kind = wanted.filter(pl.col("kind") == kind)
    theirs = mine.filter(pl.col("kind") == kind)
    both = matched.pairs.filter(pl.col("finding_id").is_in(theirs["finding_id"].to_list()))[
        "anomaly"
    ].to_list()
    result: Measures = row(
        kind, theirs, wanted.filter((pl.col("kind") == kind) | pl.col("anomaly").is_in(both))
    )
    by_any = matched.pairs.filter(pl.col("anomaly").is_in(of_kind["anomaly"].to_list()))["anomaly"].n_unique()
    from dataclasses import replace

    recall = round(by_any / len(of_kind), 4) if len(of_kind) else None
    total = (result.precision or 0) + (recall or 0)
    f1 = (
        round(2 * (result.precision or 0) * (recall or 0) / total, 4)
        if total and recall is not None
        else None
    )
    return replace(result, anomalies=len(of_kind), found=by_any, recall=recall, f1=f1)


def _told_of_silence(found: pl.DataFrame, truth: pl.DataFrame, matched: Matched, done: pl.DataFrame) -> int:
    """Messages about parcels of a feed, decided while it was silent, that match no anomaly."""
    silences = truth.filter(pl.col("family") == "feed_silent")
    words = done.filter(pl.col("would") & pl.col("customer")).join(
        found.select("finding_id", "feed", "family"), on="finding_id"
    )
    wrong = words.filter(~pl.col("finding_id").is_in(matched.pairs["finding_id"].to_list()))
    count = 0
    for silence in silences.iter_rows(named=True):
        end = silence["ends"] if silence["ends"] is not None else 2**62
        count += wrong.filter(
            (pl.col("feed") == silence["subject_id"]) & pl.col("decided").is_between(silence["starts"], end)
        )["finding_id"].n_unique()
    return count
