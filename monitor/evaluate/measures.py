"""The numbers of one detector, from its episodes and the anomalies it should have found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.evaluate.costs import Costs

HOUR = 3_600_000
BINS = 10


@dataclass(frozen=True, slots=True)
class Measures:
    """`lead_hours` is from the finding to the complaint, where there was one and the finding was first;
    `found_before` is the share of those complaints whose anomaly was found first, `told_before` of those whose customer
    had been told. `delay_hours` is from the moment when it went wrong. None where there is nothing to divide by.
    """

    scenario: str
    detector: str
    anomalies: int
    found: int
    episodes: int
    right: int
    left_out: int
    precision: float | None
    recall: float | None
    f1: float | None
    alarms_a_day: float
    false_alarms_a_day: float
    delay_hours: float | None
    lead_hours: float | None
    complaints: int
    found_before: float | None
    told_before: float | None
    brier: float | None
    calibration_error: float | None
    average_precision: float | None
    cost: float
    averted: float
    cost_per_averted: float | None
    reliability: list[tuple[float, float, int]] = field(default_factory=list)  # said, seen, episodes
    curve: list[tuple[float, float, float]] = field(default_factory=list)  # score, recall, precision


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def measure(
    scenario: str,
    name: str,
    found: pl.DataFrame,
    truth: pl.DataFrame,
    pairs: pl.DataFrame,
    left_out: frozenset[str],
    actions: pl.DataFrame,
    days: float,
    costs: Costs,
) -> Measures:
    """`truth` holds no minor anomalies; `pairs` are those of these episodes and these anomalies."""
    judged = found.filter(~pl.col("finding_id").is_in(list(left_out)))
    first = (
        pairs.join(found.select("finding_id", "opened", "best"), on="finding_id")
        .group_by("anomaly")
        .agg(opened=pl.col("opened").min(), best=pl.col("best").max())
        .join(truth, on="anomaly")
    )
    hit = judged["finding_id"].is_in(pairs["finding_id"].to_list()).to_numpy()
    right, episodes = int(hit.sum()), len(judged)
    precision, recall = ratio(right, episodes), ratio(len(first), len(truth))
    both = (precision or 0) + (recall or 0)
    complained = truth.filter(pl.col("complained").is_not_null())
    early = first.filter(pl.col("complained") > pl.col("opened"))
    told = _told(pairs, actions, complained)
    cost = _cost(judged, actions, costs)
    score = judged["score"].to_numpy()
    curve, area = ranked(judged["best"].to_numpy(), hit, first["best"].to_numpy(), len(truth))
    averted = round(costs.effect * told, 2)
    bins = reliability(score, hit)
    return Measures(
        scenario=scenario,
        detector=name,
        anomalies=len(truth),
        found=len(first),
        episodes=episodes,
        right=right,
        left_out=len(found) - episodes,
        precision=precision,
        recall=recall,
        f1=round(2 * precision * recall / both, 4) if precision and recall else (0.0 if len(truth) else None),
        alarms_a_day=round(episodes / days, 2),
        false_alarms_a_day=round((episodes - right) / days, 2),
        delay_hours=middle((first["opened"] - first["due"]).to_numpy()),
        lead_hours=middle((early["complained"] - early["opened"]).to_numpy()),
        complaints=len(complained),
        found_before=ratio(len(early), len(complained)),
        told_before=ratio(told, len(complained)),
        brier=round(float(np.mean((score - hit) ** 2)), 4) if episodes else None,
        calibration_error=_error(bins, episodes),
        average_precision=area,
        cost=round(cost, 2),
        averted=averted,
        cost_per_averted=round(cost / averted, 2) if averted else None,
        reliability=bins,
        curve=curve,
    )


def middle(values: npt.NDArray[np.int64]) -> float | None:
    return round(float(np.median(values)) / HOUR, 2) if len(values) else None


def ranked(
    score: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_], found: npt.NDArray[np.float64], total: int
) -> tuple[list[tuple[float, float, float]], float | None]:
    """Precision of episodes and recall of anomalies at every score, and the area (average precision, by steps)."""
    if not total or not len(score):
        return [], None if not total else 0.0
    levels = np.unique(score)[::-1]
    order, ranks = np.sort(score)[::-1], np.sort(found)[::-1]
    hits = np.sort(score[hit])[::-1]
    above = np.searchsorted(-order, -levels, side="right")
    precision = np.searchsorted(-hits, -levels, side="right") / above
    recall = np.searchsorted(-ranks, -levels, side="right") / total
    area = float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))
    keep = np.unique(np.linspace(0, len(levels) - 1, min(len(levels), 200)).astype(np.int64))
    points = [
        (round(float(levels[i]), 4), round(float(recall[i]), 4), round(float(precision[i]), 4)) for i in keep
    ]
    return points, round(area, 4)


def reliability(score: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    place = np.clip((score * BINS).astype(np.int64), 0, BINS - 1)
    return [
        (round(float(score[mine].mean()), 4), round(float(hit[mine].mean()), 4), int(mine.sum()))
        for number in range(BINS)
        if (mine := place == number).any()
    ]


def _error(bins: list[tuple[float, float, int]], episodes: int) -> float | None:
    """The mean distance between what was said and what was seen."""
    return (
        round(sum(abs(said - seen) * count for said, seen, count in bins) / episodes, 4) if episodes else None
    )


def _told(pairs: pl.DataFrame, actions: pl.DataFrame, complained: pl.DataFrame) -> int:
    """Anomalies with a complaint whose customer was, or would have been, told before it."""
    words = actions.filter(pl.col("would") & pl.col("customer") & (pl.col("kind") == "message"))
    told = pairs.join(words.select("finding_id", "decided"), on="finding_id").join(complained, on="anomaly")
    return told.filter(pl.col("decided") < pl.col("complained"))["anomaly"].n_unique()


def _cost(found: pl.DataFrame, actions: pl.DataFrame, costs: Costs) -> float:
    done = actions.filter(pl.col("would")).join(found.select("finding_id"), on="finding_id", how="semi")
    each = (
        pl.when(pl.col("kind") == "coupon").then(pl.col("amount") * costs.redeemed)
        .when(pl.col("kind") == "message").then(costs.message)
        .when(pl.col("kind").is_in(["ops_alert", "ticket", "high_care"])).then(costs.alert)
        .otherwise(pl.col("amount"))
    )  # fmt: skip
    return float(done.select(each.alias("cost"))["cost"].sum())
