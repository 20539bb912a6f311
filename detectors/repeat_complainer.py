"""The same customer about the same thing twice: a person should take over, and nobody should send a coupon again.

The thing is the order, or the parcel where no order is known; the family of reasons tells "where is it" from
"it is broken". A complaint reopened counts; one withdrawn is taken back. Complaints without a customer cannot be
told apart and are not counted. A customer has one episode, which tells of the matter that was complained about last,
and ends with the last of them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from detectors.clock import DAY, HOUR
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Evidence, Finding, Instant, Kind, Subject, SubjectType
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


# Customer, thing, family.
Matter: TypeAlias = tuple[str, str, str]


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
        # [[complaint, when], ...]; the order of the dict is the order of last use
        self._seen: OrderedDict[Matter, list[tuple[str, Instant]]] = OrderedDict()
        # by customer, what is repeated and not answered, the latest last
        self._repeated: dict[str, dict[Matter, dict[str, Any]]] = {}
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
                    finding = self._answered(key, window.until)
                case _:
                    finding = None
            if finding is not None:
                found.append(finding)
        found.extend(self._expire(window.until))
        return found

    def _count(self, key: Matter, row: Mapping[str, Any], now: Instant) -> Finding | None:
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
            self._forget(self._seen.popitem(last=False)[0])
        if repeated or len(history) < 2:
            return None
        matters = self._repeated.setdefault(key[0], {})
        matters.pop(key, None)
        matters[key] = _evidence(key, row, history)
        return self._say(key, now)

    def _say(self, key: Matter, now: Instant) -> Finding | None:
        evidence = self._repeated[key[0]][key]
        score = 1.0 - 0.5 ** evidence["times"]
        return self._episodes.hold(
            _subject(key), started_at=evidence["since"], now=now, score=score, evidence=evidence, news=True
        )

    def _forget(self, key: Matter) -> None:
        matters = self._repeated.get(key[0], {})
        matters.pop(key, None)
        if not matters:
            self._repeated.pop(key[0], None)

    def _answered(self, key: Matter, now: Instant) -> Finding | None:
        """What else the customer repeated is left."""
        if key not in self._repeated.get(key[0], ()):
            return None
        told = next(reversed(self._repeated[key[0]]))
        self._forget(key)
        if key[0] not in self._repeated:
            return self._episodes.close(_subject(key), now, CloseReason.ANSWERED)
        return self._say(next(reversed(self._repeated[key[0]])), now) if told == key else None

    def _take_back(self, key: Matter, complaint: str, now: Instant) -> Finding | None:
        history = [one for one in self._seen.get(key, []) if one[0] != complaint]
        if history:
            self._seen[key] = history
        else:
            self._seen.pop(key, None)
        return self._answered(key, now) if len(history) < 2 else None

    def _expire(self, now: Instant) -> list[Finding]:
        while self._seen:
            key, history = next(iter(self._seen.items()))
            if now - history[-1][1] <= self._window:
                break
            del self._seen[key]
            self._forget(key)
        found = []
        for episode in self._episodes.all():
            if now - episode.seen_at > self._window:
                self._repeated.pop(episode.subject.id, None)
                found.append(self._episodes.close(episode.subject, now, CloseReason.EXPIRED))
        return [finding for finding in found if finding is not None]

    def state(self) -> dict[str, Any]:
        seen = [[list(key), [list(one) for one in history]] for key, history in self._seen.items()]
        repeated = [[list(key), told] for matters in self._repeated.values() for key, told in matters.items()]
        return {"seen": seen, "repeated": repeated, "episodes": self._episodes.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seen = OrderedDict(
            (_matter(*key), [(str(c), int(w)) for c, w in history]) for key, history in state["seen"]
        )
        self._episodes.restore(state["episodes"])
        self._repeated = {}
        for key, told in state["repeated"] if "repeated" in state else self._told():
            self._repeated.setdefault(str(key[0]), {})[_matter(*key)] = dict(told)

    def _told(self) -> list[tuple[Matter, Evidence]]:
        """What the open episodes are about: all that was kept once."""
        return [
            (_matter(episode.subject.id, told["order_id"] or told["tracking_number"], told["about"]), told)
            for episode in self._episodes.all()
            for told in [episode.evidence]
        ]


def _matter(customer: Any, thing: Any, about: Any) -> Matter:
    return str(customer), str(thing), str(about)


def _subject(key: Matter) -> Subject:
    return Subject(SubjectType.CUSTOMER, key[0])


def _evidence(key: Matter, row: Mapping[str, Any], history: list[tuple[str, Instant]]) -> dict[str, Any]:
    customer, thing, about = key
    zh, en = _WORDS.get(about, ("同一问题", "the same matter"))
    times, hours = len(history), (history[-1][1] - history[0][1]) / HOUR
    within = max(math.ceil(hours), 1)
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
        "zh": f"客户 {customer} 就 {thing} 的{zh}问题在 {within} 小时内投诉 {times} 次",
        "en": f"customer {customer} complained {times} times within {within} {'hour' if within == 1 else 'hours'}"
        f" about {en} of {thing}",
    }
