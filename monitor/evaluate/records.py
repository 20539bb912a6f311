"""The files of a replay and of a truth, as frames: one row an episode, one an anomaly, one an action. Times are ms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl

Row = TypeVar("Row")
STALLS = tuple(
    f"{segment}_stalled"
    for segment in (
        "fulfilment", "pickup", "facility", "linehaul", "customs", "delivery", "collection", "return", "refund",
    )
)  # fmt: skip
EPISODE = {
    "finding_id": pl.String, "detector": pl.String, "kind": pl.String, "family": pl.String, "key": pl.String,
    "subject_type": pl.String, "subject_id": pl.String, "opened": pl.Int64, "closed": pl.Int64, "score": pl.Float64,
    "best": pl.Float64, "close_reason": pl.String, "feed": pl.String,
}  # fmt: skip
ANOMALY = {
    "anomaly": pl.Int64, "kind": pl.String, "family": pl.String, "subject_type": pl.String, "subject_id": pl.String,
    "starts": pl.Int64, "due": pl.Int64, "ends": pl.Int64, "cause": pl.String, "minor": pl.Boolean,
    "order_id": pl.String, "tracking_number": pl.String, "complained": pl.Int64, "cost": pl.Float64,
}  # fmt: skip
ACTION = {
    "finding_id": pl.String, "kind": pl.String, "rule": pl.String, "decided": pl.Int64, "would": pl.Boolean,
    "amount": pl.Float64, "customer": pl.Boolean,
}  # fmt: skip
WOULD_SEND = frozenset({"ok", "shadow", "quiet_hours", "needs_approval", "rate_limited"})


def family(kind: str, subject_type: str) -> str:
    """Stalls are one family: where a parcel waits is the detector's reading, that it waits is the truth."""
    if kind in STALLS:
        return "stall"
    return f"{kind}:{subject_type}" if kind == "signature_suspect" and subject_type != "parcel" else kind


def moment(text: str | int | None) -> int | None:
    if text is None or isinstance(text, int):
        return text
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def read(path: Path, of: Callable[[dict[str, Any]], Row]) -> Iterator[Row]:
    """ValueError names the file and the line that is not what it should be."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield of(decoder.decode(line))
            except KeyError as error:
                raise ValueError(f"{path}, line {number}: lacks {error}") from None
            except (msgspec.MsgspecError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None


def episodes(path: Path) -> pl.DataFrame:
    """`score` is the score at opening, which is what was acted on; `best` the highest of the episode."""
    found: dict[str, dict[str, Any]] = {}
    for change in read(path, _change):
        row = found.setdefault(change["finding_id"], change)
        row["best"] = max(row["best"], change["score"])
        if change["closed"] is not None:
            row["closed"], row["close_reason"] = change["closed"], change["close_reason"]
    return pl.DataFrame(list(found.values()), schema=EPISODE)


def _change(one: dict[str, Any]) -> dict[str, Any]:
    subject = one["subject"]
    closed = one["state"] == "closed"
    return {
        "finding_id": one["finding_id"],
        "detector": one["detector"],
        "kind": one["kind"],
        "family": family(one["kind"], subject["type"]),
        "key": f"{subject['type']}:{subject['id']}",
        "subject_type": subject["type"],
        "subject_id": subject["id"],
        "opened": moment(one["opened_at"]),
        "closed": moment(one["as_of"]) if closed else None,
        "score": float(one["score"]),
        "best": 0.0,
        "close_reason": one.get("close_reason") if closed else None,
        "feed": one.get("evidence", {}).get("feed"),
    }


def anomalies(path: Path) -> pl.DataFrame:
    rows = [{"anomaly": number, **one} for number, one in enumerate(read(path, _anomaly))]
    return pl.DataFrame(rows, schema=ANOMALY)


def _anomaly(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": one["kind"],
        "family": family(one["kind"], one["subject"]["type"]),
        "subject_type": one["subject"]["type"],
        "subject_id": one["subject"]["id"],
        "starts": moment(one["starts_at"]),
        "due": moment(one.get("due_at") or one["starts_at"]),
        "ends": moment(one.get("ends_at")),
        "cause": one.get("cause") or one["kind"],
        "minor": bool(one.get("minor")),
        "order_id": one.get("order_id"),
        "tracking_number": one.get("tracking_number"),
        "complained": moment(one.get("complained_at")),
        "cost": float(one.get("cost") or 0.0),
    }


def actions(path: Path) -> pl.DataFrame:
    """`would`: sent, or only kept back by shadow mode, the hour or a person; not the holdout."""
    return pl.DataFrame(list(read(path, _action)) if path.exists() else [], schema=ACTION)


def _action(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "finding_id": one["finding_id"],
        "kind": one["kind"],
        "rule": one.get("rule", ""),
        "decided": moment(one["decided_at"]),
        "would": one["reason"] in WOULD_SEND and one.get("arm") != "holdout",
        "amount": float(one.get("amount") or 0.0),
        "customer": bool(one.get("customer_id")) and one["kind"] in {"message", "coupon"},
    }


@dataclass(frozen=True, slots=True)
class World:
    """Of the truth's summary beside it, where there is one; else what the findings span."""

    scenario: str
    start: int
    end: int

    @property
    def days(self) -> float:
        return max((self.end - self.start) / 86_400_000, 1 / 24)


def world(truth: Path, found: pl.DataFrame) -> World:
    summary = truth.with_suffix(".json")
    if summary.exists():
        known = json.loads(summary.read_text(encoding="utf-8"))
        start, end = moment(known["start"]), moment(known["end"])
        if start is not None and end is not None:
            return World(str(known["scenario"]), start, end)
    opened = found["opened"]
    if not len(opened):
        return World("", 0, 86_400_000)
    return World("", int(opened.min()), int(opened.max()) + 1)  # type: ignore[arg-type]
