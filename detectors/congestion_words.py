"""What a finding of `detectors.facility_congested` says, in numbers and words."""

from __future__ import annotations

from typing import Any, NamedTuple

from detectors.clock import stamp
from detectors.findings import Instant


class Jam(NamedTuple):
    """A facility as it was when the finding was made. Rates are an hour's, `since` is a time in milliseconds."""

    facility: str
    region: str | None
    carrier: str | None
    stock: int
    usual: float
    ratio: float
    traffic_ratio: float
    stalled: int
    stalled_usual: float
    arrivals_per_hour: float
    departures_per_hour: float
    fuller: bool  # it holds too much, more surely than that its parcels stand still
    deviations: float
    since: Instant
    days: float  # for which its stock has been learned


def written(jam: Jam, timezone: str) -> dict[str, Any]:
    zh, en = _words(jam, stamp(jam.since, timezone))
    return {
        "facility": jam.facility,
        "region": jam.region,
        "carrier": jam.carrier,
        "stock": jam.stock,
        "usual": round(jam.usual, 1),
        "ratio": round(jam.ratio, 2),
        "traffic_ratio": round(jam.traffic_ratio, 2),
        "stalled": jam.stalled,
        "stalled_usual": round(jam.stalled_usual, 1),
        "arrivals_per_hour": round(jam.arrivals_per_hour, 1),
        "departures_per_hour": round(jam.departures_per_hour, 1),
        "deviations": round(jam.deviations, 1) + 0.0,  # no minus before a zero
        "since": jam.since,
        "cases": round(jam.days, 1),
        "zh": zh,
        "en": en,
    }


def _words(jam: Jam, start: str) -> tuple[str, str]:
    name = jam.facility
    if jam.fuller:
        return (
            f"网点 {name} 积压 {jam.stock:,} 件，是平时（约 {jam.usual:,.0f} 件）的 {jam.ratio:.1f} 倍，自 {start} 起",
            f"hub {name} holds {jam.stock:,} parcels, {jam.ratio:.1f} times the usual {jam.usual:,.0f}, since {start}",
        )
    return (
        f"网点 {name} 的 {jam.stock:,} 件中有 {jam.stalled:,} 件停滞，平时约 {jam.stalled_usual:,.0f} 件，自 {start} 起",
        f"at hub {name}, {jam.stalled:,} of {jam.stock:,} parcels stand still, usually {jam.stalled_usual:,.0f}, since {start}",
    )
