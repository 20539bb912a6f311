"""Why a parcel will be late, and when it will come, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectors.clock import HOUR, day_ends, day_spoken_of, offset_of, stamp
from detectors.findings import Instant
from detectors.tables import F64
from detectors.transit import QUANTILES


def late_evidence(
    row: Mapping[str, Any],
    probability: float,
    left: int,
    arrival: F64,
    now: Instant,
    cases: int,
    timezone: str,
) -> dict[str, Any]:
    number, since = row["tracking_number"], row["accepted"] or row["ordered"]
    quantiles = named_quantiles(arrival)
    kept_until = day_ends(row["promised"], offset_of(row["promised"], timezone))
    promise, likely = _promise(row["promised"], timezone), stamp(quantiles["p50"], timezone)
    chance = round(100 * probability)
    return {
        "carrier": row["carrier"],
        "lane": "-".join(str(row[end]) for end in ("origin", "destination") if row[end]) or None,
        "facility": row["facility"],
        "region": row["destination"],
        "feed": row["feed"],
        "segment": row["segment"],
        "since": since,
        "age_hours": round((now - since) / HOUR, 1),
        "expected_hours": round((quantiles["p50"] - since) / HOUR, 1),
        "limit_hours": round((kept_until - since) / HOUR, 1),
        "cases": cases,
        "promised": row["promised"],
        "days_left": left,
        **quantiles,
        "zh": f"包裹 {number} 有 {chance}% 的可能赶不上 {promise} 的承诺，预计 {likely} 送达",
        "en": f"parcel {number} will miss its promise of {promise} with {chance} %, expected {likely}",
    }


def named_quantiles(times: F64) -> dict[str, Instant]:
    return {f"p{round(100 * q)}": int(at) for q, at in zip(QUANTILES, times, strict=True)}


def _promise(promised: Instant, timezone: str) -> str:
    """The day where it names one."""
    day = day_spoken_of(promised, timezone, timezone)
    return stamp(promised, timezone) if day is None else stamp(day, timezone)[:10]
