"""Thresholds for a stated budget of false alarms, from the shop's own replay and history.

No truth is needed. An episode counts as real where its customer complained within a week of it, where it went on for
`LASTED` after it was opened, or where it ended badly; a prediction where the promise was then broken; a broken promise
always; with a truth file, what matches an anomaly. Scores of
different detectors are made comparable by isotonic regression (a score's share of real ones, never falling), and
one share is then chosen for all: the lowest that keeps to the budget, so no detector's alarms are dearer than
another's. What comes out are `min_score` lines for the rules of the policy pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from config.policies import PolicyPack, load_pack
from monitor.evaluate.matching import match
from monitor.evaluate.records import anomalies, episodes, moment, world
from monitor.files import read_lines

HOUR = 3_600_000
LASTED = 12 * HOUR
WEEK = 7 * 24 * HOUR
FACTS = frozenset(
    {"promise_broken", "repeat_complainer", "feed_silent"}
)  # what they say is so when they say it
ENDED_BADLY = frozenset({"finished", "expired", "superseded"})
TIE = 1e-6  # among equal shares the higher score is the surer
FEW = 20  # episodes: with less there is nothing to learn a threshold from


@dataclass(frozen=True, slots=True)
class RuleThreshold:
    rule: str
    kinds: tuple[str, ...]
    episodes: int
    min_score: float | None  # None: too few episodes, left as it is
    alarms_a_day: float
    false_a_day: float
    kept: float  # share of the real episodes


@dataclass(frozen=True, slots=True)
class Tuned:
    budget: float
    false_a_day: float
    thresholds: tuple[RuleThreshold, ...]
    lines: tuple[str, ...]

    def min_scores(self) -> dict[str, float]:
        """By rule, of those that have enough episodes to say."""
        return {one.rule: one.min_score for one in self.thresholds if one.min_score is not None}

    def columns(self) -> tuple[str, ...]:
        return ("rule", "episodes", "min_score", "alarms_a_day", "false_a_day", "kept")

    def rows(self) -> list[dict[str, object]]:
        return [{name: getattr(one, name) for name in self.columns()} for one in self.thresholds]


class _Complaint(msgspec.Struct, gc=False):
    kind: str = ""
    status: str = ""
    occurred_at: str = ""
    tracking_number: str | None = None
    order_id: str | None = None
    customer_id: str | None = None


def tune(
    replay_dir: Path,
    false_alarms_a_day: float,
    *,
    history: Sequence[Path] = (),
    truth: Path | None = None,
    pack: PolicyPack | None = None,
) -> Tuned:
    """`history` are files of canonical events, as `replay` takes them (their complaints are read). ValueError and `FileError` name
    what is unreadable.
    """
    if false_alarms_a_day < 0:
        raise ValueError("a budget of false alarms is 0 or more a day")
    found = episodes(replay_dir / "findings.ndjson")
    here = world(truth or replay_dir / "findings.ndjson", found)
    labelled = _by_truth(found, truth) if truth else _by_outcome(found, _complaints(history), here.end)
    rules = [(rule.name, tuple(str(kind) for kind in rule.kinds)) for rule in (pack or load_pack()).rules]
    levels: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]] = {}
    for name, kinds in rules:
        mine = labelled.filter(pl.col("kind").is_in(list(kinds)))
        if len(mine) >= FEW:
            score, real = mine["score"].to_numpy(), mine["real"].to_numpy()
            levels[name] = score, real, isotonic(score, real) + TIE * score
    share = _lowest_share(levels, false_alarms_a_day * here.days)
    thresholds = tuple(
        _threshold(name, kinds, labelled, levels.get(name), share, here.days) for name, kinds in rules
    )
    total = round(sum(one.false_a_day for one in thresholds if one.min_score is not None), 2)
    return Tuned(false_alarms_a_day, total, thresholds, tuple(_lines(thresholds, false_alarms_a_day)))


def isotonic(score: npt.NDArray[np.float64], real: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Of each score the share of real ones, never falling with the score (pool adjacent violators)."""
    _, place = np.unique(score, return_inverse=True)
    weight = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, weights=real) / weight
    blocks: list[tuple[float, float, int]] = []  # mean, weight, levels
    for value, heavy in zip(mean.tolist(), weight.tolist(), strict=True):
        block = (value, heavy, 1)
        while blocks and blocks[-1][0] >= block[0]:
            value_before, weight_before, count = blocks.pop()
            total = weight_before + block[1]
            block = ((value_before * weight_before + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    fitted = np.repeat([block[0] for block in blocks], [block[2] for block in blocks])
    result: npt.NDArray[np.float64] = fitted[place]
    return result


def _lowest_share(
    levels: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]],
    budget: float,
) -> float:
    """Of the shares that occur the lowest at which the false episodes of all rules together keep to the budget."""
    shares = np.unique(np.concatenate([np.array([0.0]), *(share for _, _, share in levels.values())]))
    for share in shares.tolist():
        if sum(int((~real & (mine >= share)).sum()) for _, real, mine in levels.values()) <= budget:
            return float(share)
    return float(np.nextafter(shares[-1], 2.0))


def _threshold(
    name: str,
    kinds: tuple[str, ...],
    labelled: pl.DataFrame,
    level: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]] | None,
    share: float,
    days: float,
) -> RuleThreshold:
    if level is None:
        mine = labelled.filter(pl.col("kind").is_in(list(kinds)))
        false = len(mine) - int(mine["real"].sum())
        return RuleThreshold(
            name, kinds, len(mine), None, round(len(mine) / days, 2), round(false / days, 2), 1.0
        )
    score, real, mine_share = level
    kept = mine_share >= share
    if not kept.any():
        return RuleThreshold(name, kinds, len(score), None, 0.0, 0.0, 0.0)
    lowest = float(np.floor(score[kept].min() * 1000) / 1000)
    kept = score >= lowest
    return RuleThreshold(
        rule=name,
        kinds=kinds,
        episodes=len(score),
        min_score=lowest,
        alarms_a_day=round(int(kept.sum()) / days, 2),
        false_a_day=round(int((kept & ~real).sum()) / days, 2),
        kept=round(float(kept[real].mean()), 4) if real.any() else 0.0,
    )


def _lines(thresholds: Sequence[RuleThreshold], budget: float) -> list[str]:
    lines = [
        f"# min_score of the policy pack's rules, for at most {budget:g} false alarms a day. These lines are no pack: change",
        "# them in yours, or have the whole of it written by `forestall tune ... --pack FILE`.",
    ]
    for one in thresholds:
        if one.min_score is None:
            few = f"only {one.episodes} episodes" if one.episodes < FEW else "no score keeps to the budget"
            lines.append(f"# {one.rule}: {few}, left as it is")
            continue
        why = f"{one.alarms_a_day:g} alarms a day, {one.false_a_day:g} false; keeps {one.kept:.0%} of the real ones"
        lines += ["", "[[rules]]", f'name = "{one.rule}"', f"min_score = {one.min_score:g}  # {why}"]
    return lines


def _by_truth(found: pl.DataFrame, truth: Path) -> pl.DataFrame:
    matched = match(found, anomalies(truth), world(truth, found))
    right = matched.pairs["finding_id"].to_list()
    return found.filter(~pl.col("finding_id").is_in(list(matched.left_out))).with_columns(
        real=pl.col("finding_id").is_in(right)
    )


def _by_outcome(found: pl.DataFrame, complaints: pl.DataFrame, end: int) -> pl.DataFrame:
    """Episodes too young to have an outcome are left out."""
    told = found.join(complaints, on="key").filter(
        (pl.col("complained") >= pl.col("opened")) & (pl.col("complained") <= pl.col("opened") + WEEK)
    )
    broken = found.filter(pl.col("kind") == "promise_broken")["key"].to_list()
    predicted = pl.col("kind") == "late_predicted"
    lasted = pl.col("closed").fill_null(end) - pl.col("opened") >= LASTED
    real = pl.col("kind").is_in(list(FACTS)) | pl.when(predicted).then(pl.col("key").is_in(broken)).otherwise(
        pl.col("finding_id").is_in(told["finding_id"].to_list())
        | lasted
        | pl.col("close_reason").is_in(list(ENDED_BADLY))
    )
    decided = pl.col("closed").is_not_null() | pl.col("kind").is_in(list(FACTS)) | (lasted & ~predicted)
    decided |= predicted & pl.col("key").is_in(broken)
    return found.filter(decided).with_columns(real=real.fill_null(value=False))


def _complaints(files: Sequence[Path]) -> pl.DataFrame:
    """Every line is read, also where no complaint is in it: of a damaged file nobody knows what it held."""
    decoder = msgspec.json.Decoder(_Complaint)
    rows: list[tuple[str, int]] = []
    for path in files:
        for number, line in enumerate(chain.from_iterable(read_lines([path])), 1):
            try:
                one = decoder.decode(line)
                at = moment(one.occurred_at) if one.kind == "complaint" else None
            except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
                raise ValueError(f"{path}, event {number}: {error}") from None
            if one.status not in {"opened", "reopened"} or at is None:
                continue
            keys = (("parcel", one.tracking_number), ("order", one.order_id), ("customer", one.customer_id))
            rows += [(f"{kind}:{name}", at) for kind, name in keys if name]
    return pl.DataFrame(rows, schema={"key": pl.String, "complained": pl.Int64}, orient="row")
