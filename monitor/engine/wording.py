"""What is said of a parcel that stands still, is late or lost: evidence for machines, one sentence for people."""

from __future__ import annotations

from typing import Any, Final

from detectors.clock import DAY, offset_of, stamp
from detectors.survival import Usual
from monitor.vocabulary import Segment

HOUR: Final = 3600.0
_ZH: Final[dict[int, str]] = {
    Segment.NONE: "途中",
    Segment.FULFILMENT: "待发货",
    Segment.PICKUP: "待揽收",
    Segment.FACILITY: "网点内",
    Segment.LINEHAUL: "运输途中",
    Segment.CUSTOMS: "清关",
    Segment.DELIVERY: "派送",
    Segment.COLLECTION: "待取件",
    Segment.RETURN: "退货途中",
    Segment.REFUND: "待退款",
}
_EN: Final[dict[int, str]] = {
    Segment.NONE: "on its way",
    Segment.FULFILMENT: "waiting to be shipped",
    Segment.PICKUP: "waiting to be picked up",
    Segment.FACILITY: "in a facility",
    Segment.LINEHAUL: "between facilities",
    Segment.CUSTOMS: "in customs",
    Segment.DELIVERY: "out for delivery",
    Segment.COLLECTION: "waiting to be collected",
    Segment.RETURN: "on its way back",
    Segment.REFUND: "waiting for its refund",
}


STILL: Final = "still"
PATIENCE: Final = "patience"
_SOONER_ZH: Final = {STILL: "；该处整体停滞，故提前判断", PATIENCE: "；承诺时间已过，故提前判断"}
_SOONER_EN: Final = {
    STILL: "; told sooner, as all stands still there",
    PATIENCE: "; told sooner, as its promise has passed",
}


def stalled(
    evidence: dict[str, Any], segment: int, usual: Usual, age: float, sooner: str, timezone: str
) -> None:
    """Adds what was expected and seen, and the sentences; `sooner` is why it did not wait for its limit, or empty."""
    hours, limit = age / HOUR, usual.limit / HOUR
    since = stamp(evidence["since"], timezone)
    place = evidence.get("facility") or evidence.get("lane") or ""
    evidence |= {
        "age_hours": round(hours, 1),
        "limit_hours": round(limit, 1),
        "cases": usual.cases,
    }
    if usual.expected is None:
        evidence["cold_start"] = True
        zh = f"尚无足够历史，按 {limit:.0f} 小时的默认值判断"
        en = f"with too little history yet, judged by the default of {limit:.0f} hours"
    elif usual.expected > usual.limit:  # a lane with few cases, which others speak for
        evidence["expected_hours"] = round(usual.expected / HOUR, 1)
        zh = (
            f"同类约需 {usual.expected / HOUR:.0f} 小时，但该线路仅 {usual.cases} 例，最多等 {limit:.0f} 小时"
        )
        en = (
            f"others take some {usual.expected / HOUR:.0f} hours, but with {usual.cases} cases of this lane"
            f" it is waited for {limit:.0f} at most"
        )
    else:
        evidence["expected_hours"] = round(usual.expected / HOUR, 1)
        zh = (
            f"通常约 {usual.expected / HOUR:.1f} 小时，超过 {limit:.1f} 小时即属少见（依据 {usual.cases} 例）"
        )
        en = (
            f"usually some {usual.expected / HOUR:.1f} hours, and seldom over {limit:.1f}"
            f" (from {usual.cases} cases of this lane)"
        )
    if sooner:
        evidence["sooner"] = sooner
    zh, en = zh + _SOONER_ZH.get(sooner, ""), en + _SOONER_EN.get(sooner, "")
    where_zh, where_en = (f"（{place}）", f" ({place})") if place else ("", "")
    evidence["zh"] = f"自 {since} 起{_ZH[segment]}{where_zh}已 {hours:.0f} 小时（工作时间）没有新的记录；{zh}"
    evidence["en"] = (
        f"{_EN[segment]}{where_en} for {hours:.0f} working hours since {since} without a new record; {en}"
    )


def promise_broken(evidence: dict[str, Any], promised: int, now: int, segment: int, timezone: str) -> None:
    hours = (now - promised) / 3_600_000
    evidence |= {"promised": promised, "age_hours": round(hours, 1)}
    when = _promised_by(promised, timezone)
    evidence["zh"] = f"承诺 {when} 前送达，现已超过，仍在{_ZH[segment]}"
    evidence["en"] = f"promised by {when}, which has passed; still {_EN[segment]}"


def _promised_by(promised: int, timezone: str) -> str:
    """Of a day as UTC names it that day, not the hour at which it ends here."""
    names_utc = (promised + 1000) % DAY == 0 and offset_of(promised, timezone) != 0
    return f"{stamp(promised, 'UTC')} UTC" if names_utc else stamp(promised, timezone)


def presumed_lost(evidence: dict[str, Any], now: int, limit_seconds: int, timezone: str) -> None:
    days = (now - evidence["since"]) / 86_400_000
    since = stamp(evidence["since"], timezone)
    evidence |= {"age_hours": round(days * 24, 1), "limit_hours": round(limit_seconds / HOUR, 1)}
    evidence["zh"] = (
        f"自 {since} 起已 {days:.1f} 天没有任何扫描，超过 {limit_seconds // 86_400} 天，按丢件处理"
    )
    evidence["en"] = (
        f"no scan since {since}, {days:.1f} days ago: over {limit_seconds // 86_400} days, presumed lost"
    )


def said_lost(evidence: dict[str, Any], timezone: str) -> None:
    since = stamp(evidence["since"], timezone)
    evidence |= {"said_by_carrier": True}
    evidence["zh"] = f"承运商于 {since} 报告丢件"
    evidence["en"] = f"the carrier reported it lost at {since}"
