"""Daily and weekly digests: what was found, said and not said, what it cost, and which rules are noise.

The scheduled time is the identity of a digest: written twice, after a crash or by a late run, it is the same claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from config.settings import NotifySettings
from detectors.findings import Instant
from monitor.answers import precision
from monitor.averted import WITHIN_DAYS
from monitor.incidents import View
from monitor.links import Act, Link, nonce
from monitor.notifications.places import named
from monitor.notifications.proposals import Desk, clean
from monitor.uplift import Uplift
from notifier.actions import ActionKind, Outcome, Proposal, Reason
from notifier.ledger import Claim

DAY: Final = 86_400_000
LATE: Final = 6 * 3_600_000  # a digest that could not be written for so long is left out
HOUR: Final = 3_600_000
TOP: Final = 8
LISTED: Final = 20
ASKED: Final = 2  # chats show few buttons


class Claims(Protocol):
    def all(self, since: Instant = 0, until: Instant | None = None) -> AsyncIterable[Claim]: ...
    async def held(self) -> Sequence[Claim]: ...
    async def claim_all(self, proposals: Sequence[Proposal], now: Instant) -> Sequence[Any]: ...


class Said(Protocol):
    async def all(self) -> Mapping[str, Mapping[str, int]]: ...


def scheduled(settings: NotifySettings, timezone: str, now: Instant) -> list[tuple[str, Instant, Instant]]:
    """The digests whose time has come and is not long past: kind, when, and the beginning of what it tells."""
    if settings.daily_digest_hour is None or not settings.digest_receivers:
        return []
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(now / 1000, zone)
    at = local.replace(hour=settings.daily_digest_hour, minute=0, second=0, microsecond=0, fold=0)
    if at > local:
        at -= timedelta(days=1)
    moment = _millis(at)
    if now - moment > LATE:
        return []
    # From the same hour on the clock, so that a day of 23 or 25 hours is told once, and whole.
    found = [("daily", moment, _millis(at - timedelta(days=1)))]
    if settings.weekly_digest_day is not None and at.weekday() == settings.weekly_digest_day:
        found.append(("weekly", moment, _millis(at - timedelta(days=7))))
    return found


def _millis(at: datetime) -> Instant:
    return round(at.timestamp() * 1000)


@dataclass(slots=True)
class Tally:
    """Of the claims decided in a period."""

    decided: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)
    waiting: int = 0

    def add(self, claim: Claim) -> None:
        proposal = claim.proposal
        if proposal.kind is ActionKind.OPS_ALERT:
            return
        self.decided[proposal.kind.value] += 1
        if claim.state == "failed":  # given up since: its money has gone back
            self.withheld[claim.why or claim.reason.value] += 1
        elif claim.outcome is Outcome.SEND:
            self.sent[proposal.kind.value] += 1
            if proposal.amount:
                self.money[proposal.currency] += proposal.amount
        else:
            self.withheld[claim.reason.value] += 1
            self.waiting += claim.state == "held"


@dataclass(frozen=True, slots=True)
class Reports:
    """Wiring: `schedule.every(60, "reports", reports.run)`. `calibration` gives the mean gap by detector, where known."""

    settings: Callable[[], tuple[NotifySettings, str, str]]  # notify, time zone, policy version
    claims: Claims
    uplift: Callable[[Instant], Awaitable[Uplift]]
    answers: Said
    history: Callable[[], Sequence[View]]
    firing: Callable[[], Sequence[View]]
    calibration: Callable[[], Mapping[str, float]]
    desk: Callable[[], Desk]
    open_findings: Callable[[], Mapping[str, int]] = dict
    written: set[tuple[str, Instant]] = field(default_factory=set)

    async def run(self, now: Instant) -> int:
        """How many digests were written; those of before are known to the ledger, also after a restart."""
        notify, timezone, version = self.settings()
        count = await self._approvals(now, notify, timezone, version)
        for kind, at, since in scheduled(notify, timezone, now):
            if (kind, at) in self.written:
                continue
            content = await self._content(kind, at, since, timezone, notify.locale)
            told = _proposals(kind, at, notify.digest_receivers, notify.locale, version, content)
            await self.claims.claim_all(told, now)
            self.written.add((kind, at))
            count += 1
        return count

    async def _approvals(self, now: Instant, notify: NotifySettings, timezone: str, version: str) -> int:
        """Once an hour while something waits: the largest with buttons, the rest in the console."""
        hour = now - now % HOUR
        if not notify.approval_receivers or ("approvals", hour) in self.written:
            return 0
        held = [claim for claim in await self.claims.held() if _is_asked(claim, now)]
        if not held:
            return 0
        held.sort(key=lambda claim: (-claim.proposal.amount, claim.action_id))
        content = waiting(held, hour, timezone, self.desk())
        told = _proposals("approvals", hour, notify.approval_receivers, notify.locale, version, content)
        await self.claims.claim_all(told, now)
        self.written.add(("approvals", hour))
        return 1

    async def _content(
        self, kind: str, at: Instant, since: Instant, timezone: str, locale: str
    ) -> dict[str, Any]:
        tally = Tally()
        async for claim in self.claims.all(since, at - 1):
            tally.add(claim)
        ended = [view for view in self.history() if since <= (view.resolved_at or 0) < at]
        firing = list(self.firing())
        answers = await self.answers.all()
        noisy = sorted(answers.items(), key=lambda item: (-item[1].get("noise", 0), item[0]))
        largest = sorted((*firing, *ended), key=lambda view: (-view.total, view.incident_id))
        return {
            "report": kind,
            "timezone": timezone,
            "since": since,
            "until": at,
            "decided": _ranked(tally.decided),
            "sent": _ranked(tally.sent),
            "withheld": _ranked(tally.withheld),
            "money": dict(tally.money),
            "waiting": tally.waiting,
            "incidents": {"firing": len(firing), "resolved": len(ended)},
            "largest": [
                {
                    "family": view.family,
                    "place_type": view.place.type.value,
                    "place": clean(named(view.place, locale)),
                    "total": view.total,
                }
                for view in largest[:TOP]
            ],
            "open": _ranked(self.open_findings()),
            "uplift": (await self.uplift(at)).record() if kind == "weekly" else None,
            "uplift_days": WITHIN_DAYS,
            "calibration": [[name, round(gap, 3)] for name, gap in sorted(self.calibration().items())],
            "noisiest": [
                [rule, counts.get("useful", 0), counts.get("noise", 0), precision(counts)]
                for rule, counts in noisy[:TOP]
                if counts.get("noise", 0)
            ],
        }


def _is_asked(claim: Claim, now: Instant) -> bool:
    """Words that wait for their coupon's approval are decided with it, and asked of nobody; so is what came too late."""
    waits = claim.reason is Reason.NEEDS_APPROVAL and claim.proposal.depends_on is None
    return waits and (claim.proposal.expires_at or now) >= now


def waiting(held: Sequence[Claim], at: Instant, timezone: str, desk: Desk) -> dict[str, Any]:
    money: Counter[str] = Counter()
    for claim in held:
        money[claim.proposal.currency] += claim.proposal.amount
    base = (desk.public_url or "").rstrip("/")
    buttons = []
    if desk.links is not None and base:
        for claim in held[:ASKED]:
            for act in (Act.APPROVE, Act.REJECT):
                used = nonce("approvals", str(at), claim.action_id, act.value)
                link = Link(act, claim.action_id, at + desk.link_ms, used, claim.proposal.rule)
                buttons.append(
                    {"act": act.value, "of": claim.action_id, "url": f"{base}/a/{desk.links.sign(link)}"}
                )
    return {
        "report": "approvals",
        "timezone": timezone,
        "since": min(claim.decided_at for claim in held),
        "until": at,
        "count": len(held),
        "money": dict(money),
        "listed": [
            {
                "id": claim.action_id,
                "kind": claim.proposal.kind.value,
                "subject": clean(claim.proposal.subject),
                "amount": claim.proposal.amount,
                "currency": claim.proposal.currency,
                "rule": clean(claim.proposal.rule),
            }
            for claim in held[:LISTED]
        ],
        "buttons": buttons,
        "link": f"{base}/approvals" if base else None,
    }


def _proposals(
    kind: str, at: Instant, receivers: Sequence[str], locale: str, version: str, content: Mapping[str, Any]
) -> list[Proposal]:
    return [
        Proposal(
            kind=ActionKind.OPS_ALERT,
            finding_id=f"report-{kind}-{at}",
            subject=f"report:{kind}",
            cause=f"report-{kind}-{at}-{receiver}",
            template="ops/report",
            channel=receiver,
            rule=f"report-{kind}",
            policy_version=version,
            locale=locale,
            variables=content,
            expires_at=at + DAY,
        )
        for receiver in receivers
    ]


def _ranked(counts: Mapping[str, int]) -> list[list[Any]]:
    return [[name, counts[name]] for name in sorted(counts, key=lambda name: (-counts[name], name))]
