"""What an incident stands on, as people read it: named numbers, moments by the clock, and who has how many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from config.regions import regions
from detectors.findings import Subject, SubjectType
from monitor.console.words import LOCALES, incident_words, words
from monitor.incidents import View
from monitor.notifications.places import named

TOP: Final = 6
MOMENTS: Final = frozenset({"since", "clear_by"})
SHOWN_ELSEWHERE: Final = frozenset({"zh", "en", "since_local"})
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "stock": ("在场件数", "Parcels held"),
    "usual": ("平时", "Usual"),
    "ratio": ("是平时的倍数", "Times the usual"),
    "traffic_ratio": ("整体流量倍数", "Traffic, times the usual"),
    "stalled": ("停滞件数", "Stalled"),
    "stalled_usual": ("平时停滞", "Stalled usually"),
    "arrivals_per_hour": ("每小时到达", "Arrivals an hour"),
    "departures_per_hour": ("每小时离开", "Departures an hour"),
    "deviations": ("偏离（标准差）", "Deviations from the usual"),
    "forecast_24": ("24 小时后预计", "Expected in 24 h"),
    "low_24": ("24 小时下限", "At least, in 24 h"),
    "high_24": ("24 小时上限", "At most, in 24 h"),
    "usual_24": ("24 小时后平时", "Usual in 24 h"),
    "forecast_72": ("72 小时后预计", "Expected in 72 h"),
    "low_72": ("72 小时下限", "At least, in 72 h"),
    "high_72": ("72 小时上限", "At most, in 72 h"),
    "usual_72": ("72 小时后平时", "Usual in 72 h"),
    "extra_per_day": ("每天需多处理", "More to handle a day"),
    "extra_couriers": ("需增快递员", "More couriers"),
    "clear_by": ("预计恢复", "Clear by"),
    "since": ("开始", "Since"),
    "cases": ("样本数", "Cases behind it"),
    "expected": ("平时投诉", "Complaints usually"),
    "hours": ("小时数", "Hours"),
    "carrier": ("承运商", "Carrier"),
    "facility": ("网点", "Facility"),
    "region": ("地区", "Region"),
    "feed": ("数据源", "Feed"),
    "reason": ("原因", "Reason"),
    "category": ("类别", "Category"),
}


def evidence_rows(view: View, locale: str, moment: Callable[[int], str]) -> list[tuple[str, str]]:
    """Known names first and in their order; what has no name of ours keeps its own."""
    index = LOCALES.index(locale)
    order = {name: at for at, name in enumerate(_NAMES)}
    given = [name for name in view.evidence if name not in SHOWN_ELSEWHERE]
    given.sort(key=lambda name: (order.get(name, len(order)), name))
    return [
        (_NAMES.get(name, (name, name))[index], _value(name, view.evidence[name], locale, moment))
        for name in given
        if view.evidence[name] is not None
    ]


def _value(name: str, value: Any, locale: str, moment: Callable[[int], str]) -> str:
    if name in MOMENTS and isinstance(value, int):
        return moment(value)
    if name == "region" and isinstance(value, str):
        return regions().name(value, locale)
    if name in {"reason", "category"}:
        return str(incident_words(locale)["complaint"].get(str(value), value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def breakdown(view: View, locale: str) -> list[tuple[str, list[tuple[str, int]]]]:
    """Of the open findings: reasons, carriers, facilities, lanes and regions, the most first."""
    w, say = words(locale), incident_words(locale)

    def lane(name: str) -> str:
        return named(Subject(SubjectType.LANE, name), locale)

    def region(name: str) -> str:
        return regions().name(name, locale)

    def kind(name: str) -> str:
        return say["kind"].get(name, name)

    return [
        (w["kind"], _top(view.kinds, kind)),
        (say["field"]["carriers"], _top(view.carriers, str)),
        (say["field"]["hubs"], _top(view.facilities, str)),
        (say["field"]["lanes"], _top(view.lanes, lane)),
        (w["map"], _top(view.regions, region)),
    ]


def _top(counts: Mapping[str, int], name: Callable[[str], str]) -> list[tuple[str, int]]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name(key), count) for key, count in ranked[:TOP]]
