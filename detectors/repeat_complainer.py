"""The same customer about the same thing twice: a person should take over, and nobody should send a coupon again.

The thing is the order, or the parcel where no order is known; the family of reasons tells "where is it" from
"it is broken". A complaint reopened counts; one withdrawn is taken back. Complaints without a customer cannot be
told apart and are not counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from detectors.clock import DAY, HOUR
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window

FAMILIES: Final[Mapping[str, str]] = {
    "late": "delivery",
    "lost": "delivery",
    "false_delivery": "delivery",
    "not_received": "delivery",
    "damaged": "product",
    "wrong_item": "product",
    "quality": "product",
    "refund_slow": "refund",
}
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "delivery": ("配送", "delivery"),
    "product": ("商品", "the product"),
    "refund": ("退款", "the refund"),
    "logistics": ("物流", "logistics"),
    "service": ("服务", "the service"),
    "order": ("订单", "the order"),
}


def family(category: str | None, reason: str | None) -> str:
    """Known reasons go by what they are about; the others by their category."""
    known = FAMILIES.get(reason or "")
    if known is not None:
        return known
    return "delivery" if category == "logistics" else category or "unknown"


class RepeatComplainer:
    name = "repeat_complainer"
    every = 60_000
    wants = frozenset({"complaints"})

    def __init__(self, *, window_days: float = 30.0, capacity: int = 200_000) -> None:
        self._window = int(window_days * DAY)
        self._capacity = capacity
        # (customer, thing, family) -> [[complaint, when], ...]; the order of the dict is the order of last use
        self._seen: OrderedDict[tuple[str, str, str], list[tuple[str, Instant]]] = OrderedDict()
        self._episodes = Episodes(self.name, Kind.REPEAT_COMPLAINER)

    def run(self, window: Window) -> list[Finding]:
        found: list[Finding] = []
        told = window.complaints
        for row in told.iter_rows(named=True) if told.height else ():
            customer, thing = row["customer_id"], row["order_id"] or row["tracking_number"]
            if customer is None or thing is None:
                continue
            key = (customer, thing, family(row["category"], row["reason"]))
            match row["status"]:
                case "opened" | "reopened":
                    finding = self._count(key, row, window.until)
                case "withdrawn":
                    finding = self._take_back(key, row["complaint_id"], window.until)
                case "resolved":
                    finding = None
                    if len(self._seen.get(key, ())) > 1:
                        finding = self._episodes.close(_subject(key), window.until, CloseReason.ANSWERED)
                case _:
                    finding = None
            if finding is not None:
                found.append(finding)
        found.extend(self._expire(window.until))
        return found

    def _count(self, key: tuple[str, str, str], row: Mapping[str, Any], now: Instant) -> Finding | None:
        when: Instant = row["received"]
        turn = (row["complaint_id"], when)
        history = [one for one in self._seen.pop(key, []) if when - one[1] <= self._window]
        repeated = any(one == turn for one in history)
        opened_before = any(one[0] == turn[0] for one in history)
        if not repeated and (row["status"] == "reopened" or not opened_before):
            history.append(turn)
        if row["status"] == "reopened" and len(history) == 1:
            history.insert(0, (row["complaint_id"], row["occurred"]))  # its opening was before our time
        self._seen[key] = history[-16:]
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        if repeated or len(history) < 2:
            return None
        return self._episodes.hold(
            _subject(key),
            started_at=history[0][1],
            now=now,
            score=1.0 - 0.5 ** len(history),
            evidence=_evidence(key, row, history),
            news=True,
        )

    def _take_back(self, key: tuple[str, str, str], complaint: str, now: Instant) -> Finding | None:
        history = [one for one in self._seen.get(key, []) if one[0] != complaint]
        if history:
            self._seen[key] = history
        else:
            self._seen.pop(key, None)
        if len(history) >= 2:
            return None
        return self._episodes.close(_subject(key), now, CloseReason.ANSWERED)

    def _expire(self, now: Instant) -> list[Finding]:
        while self._seen:
            _key, history = next(iter(self._seen.items()))
            if now - history[-1][1] <= self._window:
                break
            self._seen.popitem(last=False)
        closed = (
            self._episodes.close(episode.subject, now, CloseReason.EXPIRED)
            for episode in self._episodes.all()
            if now - episode.seen_at > self._window
        )
        return [finding for finding in closed if finding is not None]

    def state(self) -> dict[str, Any]:
        seen = [[list(key), [list(one) for one in history]] for key, history in self._seen.items()]
        return {"seen": seen, "episodes": self._episodes.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seen = OrderedDict(
            ((str(key[0]), str(key[1]), str(key[2])), [(str(c), int(w)) for c, w in history])
            for key, history in state["seen"]
        )
        self._episodes.restore(state["episodes"])


def _subject(key: tuple[str, str, str]) -> Subject:
    return Subject(SubjectType.CUSTOMER, key[0])


def _evidence(
    key: tuple[str, str, str], row: Mapping[str, Any], history: list[tuple[str, Instant]]
) -> dict[str, Any]:
    customer, thing, about = key
    zh, en = _WORDS.get(about, ("同一问题", "the same matter"))
    times, hours = len(history), (history[-1][1] - history[0][1]) / HOUR
    return {
        "order_id": row["order_id"],
        "tracking_number": row["tracking_number"],
        "about": about,
        "times": times,
        "complaints": [complaint for complaint, _ in history],
        "since": history[0][1],
        "hours": round(hours, 1),
        "region": row["region"],
        "carrier": row["carrier"],
        "feed": row["feed"],
        "zh": f"客户 {customer} 就 {thing} 的{zh}问题在 {hours:.0f} 小时内投诉 {times} 次",
        "en": f"customer {customer} complained {times} times within {hours:.0f} hours about {en} of {thing}",
    }
