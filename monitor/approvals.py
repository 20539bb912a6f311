"""What waits for a person, told in the ops chat with links that approve or reject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from babel.numbers import format_currency, get_currency_precision

from detectors.findings import Instant
from monitor.links import Act, Link, nonce
from monitor.notifications.proposals import Desk, clean
from notifier.actions import ActionKind, Decided, Outcome, Proposal, Reason

WORDS: Final = {
    "zh": (
        "{money} 的补偿待批准",
        "订单 {order}：{why}。批准前不发券，也不发消息。",
        "须由两人先后批准。",
        {"approve": "批准", "reject": "拒绝", "second": "第二人批准"},
    ),
    "en": (
        "A compensation of {money} waits for approval",
        "Order {order}: {why}. Until somebody approves, no coupon and no message leaves.",
        "It takes two people.",
        {"approve": "Approve", "reject": "Reject", "second": "Approve as the second"},
    ),
}


def ask(
    decisions: Iterable[Decided],
    desk: Desk,
    receivers: Sequence[str],
    locale: str,
    now: Instant,
    *,
    two_above: int = 0,
) -> list[Proposal]:
    """One alert a receiver for each coupon that waits. Claimed by the coupon's id: asking twice is asking once. Above
    `two_above` minor units it has a button for each of the two people, as a button works once.
    """
    return [
        _alert(decided, desk, receiver, locale, now, two=0 < two_above < decided.proposal.amount)
        for decided in decisions
        if decided.outcome is Outcome.HELD
        and decided.reason is Reason.NEEDS_APPROVAL
        and decided.proposal.kind is ActionKind.COUPON
        for receiver in receivers
    ]


def _alert(decided: Decided, desk: Desk, receiver: str, locale: str, now: Instant, *, two: bool) -> Proposal:
    gift = decided.proposal
    language = "zh" if locale.startswith("zh") else "en"
    title, body, both, labels = WORDS[language]
    amount = Decimal(gift.amount).scaleb(-get_currency_precision(gift.currency))
    money = format_currency(amount, gift.currency, locale=locale.replace("-", "_"))
    why = clean(str(gift.evidence.get(language) or gift.evidence.get("kind") or gift.rule), 300)
    message: dict[str, Any] = {
        "title": title.format(money=money),
        "body": " ".join([body.format(order=clean(gift.order_id or "-"), why=why), *([both] if two else [])]),
        "severity": "warning",
        "locale": locale,
        "thread": gift.action_id,
        "why": f"{gift.rule}: {Reason.NEEDS_APPROVAL}",
        "fields": [["action", gift.action_id], ["order", clean(gift.order_id or "-")]],
        "buttons": _buttons(gift, desk, labels, now, two=two),
        "labels": {"kind": "approval"},
    }
    return Proposal(
        kind=ActionKind.OPS_ALERT,
        finding_id=gift.finding_id,
        subject=gift.subject,
        cause=f"approval:{gift.action_id}",
        template="approval",
        channel=receiver,
        rule=gift.rule,
        policy_version=gift.policy_version,
        incident_id=gift.incident_id,
        locale=locale,
        variables={"message": message},
        expires_at=gift.expires_at,
        capped=False,
        holdout=False,
    )


def _buttons(
    gift: Proposal, desk: Desk, labels: Mapping[str, str], now: Instant, *, two: bool
) -> list[dict[str, str]]:
    if desk.links is None or not desk.public_url:
        return []
    base, links = desk.public_url.rstrip("/"), desk.links
    until = min(now + desk.link_ms, gift.expires_at or now + desk.link_ms)

    def button(act: Act, label: str, style: str) -> dict[str, str]:
        link = Link(act, gift.action_id, until, nonce(gift.action_id, label))
        return {"label": labels[label], "url": f"{base}/a/{links.sign(link)}", "style": style}

    second = [button(Act.APPROVE, "second", "primary")] if two else []
    return [
        button(Act.APPROVE, "approve", "primary"),
        *second,
        button(Act.REJECT, "reject", "danger"),
    ]
