"""A notification as a proposal to the ledger: its content as plain JSON, so that delivery renders what was decided.

The claim's identity comes from the notification's key, so a crash between deciding and recording sends nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.regions import regions
from config.settings import IncidentSettings
from detectors.findings import Instant, Subject, SubjectType
from monitor.incidents import View
from monitor.links import Act, Link, Links, nonce
from monitor.notifications.advice import advise
from monitor.notifications.places import named
from monitor.notifications.records import Notification
from notifier.actions import ActionKind, Proposal

LISTED = 40
NAMED = 5_000  # of what is not listed one by one, the places of a family in a line
TOP = 5
HORIZONS = (24, 72)  # hours, of the backlog's forecast
HOUR = 3_600_000
BUTTONS = (Act.ACKNOWLEDGE, Act.SILENCE, Act.USEFUL, Act.NOISE)
EVIDENCE = (
    "zh",
    "en",
    "stock",
    "usual",
    "ratio",
    "stalled",
    "stalled_usual",
    "traffic_ratio",
    "arrivals_per_hour",
    "departures_per_hour",
    "cases",
    "expected",
    "excess",
    *(f"{word}_{hours}" for hours in HORIZONS for word in ("forecast", "low", "high", "usual")),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What proposals need to know of this installation. No `links` or `public_url`: messages have no buttons."""

    incidents: IncidentSettings
    policy_version: str
    timezone: str = "Asia/Shanghai"
    public_url: str | None = None
    links: Links | None = None
    link_ms: int = 72 * 3_600_000


def propose(notification: Notification, desk: Desk) -> Proposal:
    incident = notification.incident_id
    return Proposal(
        kind=ActionKind.OPS_ALERT,
        finding_id=incident or notification.key,
        subject=f"incident:{incident or notification.group}",
        cause=notification.key,
        template="ops/digest" if notification.digest else "ops/incident",
        channel=notification.receiver,
        rule=notification.route,
        policy_version=desk.policy_version,
        incident_id=incident,
        locale=notification.locale,
        variables=content(notification, desk),
        expires_at=notification.expires_at,
    )


def content(notification: Notification, desk: Desk) -> dict[str, Any]:
    views = (*notification.firing, *notification.resolved)
    single = views[0] if len(views) == 1 else None
    money: dict[str, int] = {}
    for view in notification.firing:
        for currency, amount in view.money.items():
            money[currency] = money.get(currency, 0) + amount
    ordered = sorted(views, key=lambda view: (view.resolved_at is not None, -view.open, view.incident_id))
    return {
        "key": notification.key,
        "reason": notification.reason.value,
        "digest": notification.digest,
        "severity": notification.severity,
        "at": notification.at,
        "timezone": desk.timezone,
        "incidents": [
            {**_incident(view, desk, notification.locale), "aged": aged(view, notification.at)}
            for view in ordered[:LISTED]
        ],
        "more": max(0, len(ordered) - LISTED),
        "rest": _rest(ordered[LISTED : LISTED + NAMED], notification.locale),
        "totals": {
            "firing": len(notification.firing),
            "resolved": len(notification.resolved),
            "open": sum(view.open for view in notification.firing),
            "money": money,
            "families": _totals(notification.firing, "family"),
        },
        "thread": notification.thread,
        "mention": list(notification.mention),
        "link": _page(desk, single),
        "buttons": _buttons(notification, single, desk) if single else [],
        "series": [list(point) for point in single.series] if single else [],
        "chart": chart_of(single, notification.at) if single else {},
        "labels": dict(single.labels) if single else {},
    }


def aged(view: View, at: Instant) -> bool:
    """Whether what is known of the place is older than what is said of it by now: then its time is said, too."""
    return 0 < view.as_of <= at - HOUR


def _rest(views: Sequence[View], locale: str) -> list[list[Any]]:
    """What no line of its own was left for, a line a family: each place with its count."""
    named_by: dict[str, list[str]] = {}
    for view in views:
        place = clean(named(view.place, locale))
        over = " ✅" if view.resolved_at is not None else ""
        named_by.setdefault(view.family, []).append(
            f"{place} {view.open:,}{over}" if view.open else place + over
        )
    return [[family, named_by[family]] for family in sorted(named_by)]


def chart_of(view: View, at: Instant) -> dict[str, Any]:
    """What stands beside the count of open findings: the usual level, and the forecast with its interval."""
    evidence = {name: value for name, value in view.evidence.items() if isinstance(value, int | float)}
    rows = [
        [at + hours * HOUR, *(evidence[f"{word}_{hours}"] for word in ("forecast", "low", "high"))]
        for hours in HORIZONS
        if {f"{word}_{hours}" for word in ("forecast", "low", "high")} <= evidence.keys()
    ]
    if rows and "stock" in evidence:
        return {"usual": evidence.get("usual_24"), "forecast": [[at, *[evidence["stock"]] * 3], *rows]}
    return {"usual": evidence.get("stalled_usual"), "forecast": []}


def _regions(counts: Mapping[str, int], locale: str) -> dict[str, int]:
    table, found = regions(), dict[str, int]()
    for code, number in counts.items():
        name = table.name(code, locale)
        found[name] = found.get(name, 0) + number
    return found


def _incident(view: View, desk: Desk, locale: str) -> dict[str, Any]:
    return {
        "id": view.incident_id,
        "fingerprint": view.fingerprint,
        "family": view.family,
        "severity": view.severity,
        "place_type": view.place.type.value,
        "place": clean(named(view.place, locale)),
        "phase": view.phase.value,
        "since": view.since,
        "fired_at": view.fired_at,
        "resolved_at": view.resolved_at,
        "open": view.open,
        "total": view.total,
        "money": dict(view.money),
        "kinds": _top(view.kinds),
        "carriers": _top(view.carriers),
        "regions": _top(_regions(view.regions, locale)),
        "facilities": _top(view.facilities),
        "lanes": _top(
            {named(Subject(SubjectType.LANE, lane), locale): number for lane, number in view.lanes.items()}
        ),
        "score": round(view.score, 4),
        "as_of": view.as_of,
        "evidence": {
            name: clean(value, 400) if isinstance(value, str) else value
            for name in EVIDENCE
            if isinstance(value := view.evidence.get(name), str | int | float)
        },
        "advice": [_cleaned(step) for step in advise(view, desk.incidents, locale)],
        "acknowledged_by": unmarked(view.acknowledged_by or ""),
        "note": unmarked(view.note, 400),
        "url": _page(desk, view),
        "labels": dict(view.labels),
    }


def clean(text: str, longest: int = 80) -> str:
    """Names come from carriers and shops: no markup, no mention, no link, no line of its own in anybody's chat. What chats
    would make a link of by themselves gets twins of its signs; a reader sees the same.
    """
    safe = unmarked(text, longest).translate(_UNLINKED).replace("://", "：//")
    return _DOT_OF_HOST.sub("\N{ONE DOT LEADER}", safe)


def unmarked(text: str, longest: int = 80) -> str:
    """Words of our own people: they may hold a link."""
    safe = "".join(char if char.isprintable() else " " for char in text[: 2 * longest])
    safe = safe.translate(_UNMARKED)
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


_UNMARKED = str.maketrans(
    {"<": "‹", ">": "›", "[": "［", "]": "］", "@": "＠", "`": "'", "|": "¦", "*": "＊"}
)
_UNLINKED = str.maketrans({"~": "～", "#": "＃"})
_DOT_OF_HOST = re.compile(r"(?<=[\w-])\.(?=[^\W\d_]{2})")  # before what may be a top-level domain


def _cleaned(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in step.items()}


def _top(counts: Mapping[str, int]) -> list[list[Any]]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [[clean(name), number] for name, number in ranked[:TOP]]


def _totals(views: Sequence[View], name: str) -> list[list[Any]]:
    totals: dict[str, list[int]] = {}
    for view in views:
        entry = totals.setdefault(getattr(view, name), [0, 0])
        entry[0] += 1
        entry[1] += view.open
    return [[key, *totals[key]] for key in sorted(totals, key=lambda key: (-totals[key][1], key))]


def _page(desk: Desk, view: View | None) -> str | None:
    if not desk.public_url:
        return None
    base = desk.public_url.rstrip("/")
    return f"{base}/incidents/{view.incident_id}" if view else f"{base}/"


def _buttons(notification: Notification, view: View, desk: Desk) -> list[dict[str, str]]:
    if desk.links is None or not desk.public_url or view.resolved_at is not None:
        return []
    expires_at: Instant = notification.at + desk.link_ms
    base = desk.public_url.rstrip("/")
    return [
        {
            "act": act.value,
            "url": f"{base}/a/"
            + desk.links.sign(
                Link(act, view.incident_id, expires_at, nonce(notification.key, act.value), view.family)
            ),
        }
        for act in BUTTONS
    ]
