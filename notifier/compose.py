"""From an outbox entry to the coupon or message that leaves. The same entry composes the same, at every attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from notifier.actions import ActionKind
from notifier.ledger import Claim, Ledger
from notifier.ops_message import OPS_TEMPLATES, ops_message
from notifier.outbox import Entry, entry_of
from notifier.sending import Button, Contact, Coupon, Instant, Message
from notifier.templates import Templates

DAY_MS: Final = 86_400_000
HIDDEN: Final = frozenset({"texts", "message"})


def coupon_until(decided_at: Instant, days: int) -> Instant:
    """From the decision, not from the attempt: a retry must ask for the same coupon."""
    return decided_at + days * DAY_MS


def coupon_of(entry: Entry, contact: Contact | None) -> Coupon:
    proposal = entry.proposal
    if entry.coupon_code is None:
        raise ValueError("a coupon without a code")
    return Coupon(
        code=entry.coupon_code,
        amount=proposal.amount,
        currency=proposal.currency,
        intent=entry.action_id,
        customer_id=proposal.customer_id,
        order_id=proposal.order_id,
        expires_at=coupon_until(entry.decided_at, proposal.coupon_days),
        recipient=contact,
        minimum_order=proposal.minimum_order,
    )


class Composer:
    def __init__(
        self, ledger: Ledger, templates: Templates, unsubscribe: Callable[[str], str] | None = None
    ) -> None:
        """`unsubscribe` makes a customer's own link from the customer's id."""
        self._ledger = ledger
        self._unsubscribe = unsubscribe
        self._templates = templates

    async def message(self, entry: Entry, contact: Contact | None) -> Message:
        proposal = entry.proposal
        if (ready := proposal.variables.get("message")) is not None:
            return _ready(entry, ready)
        if proposal.template in OPS_TEMPLATES:
            return ops_message(proposal.variables, key=entry.action_id, locale=proposal.locale)
        variables = {**proposal.variables, **await self._money(entry), "customer_id": proposal.customer_id}
        words = self._templates.render(entry.template, proposal.locale, variables, proposal.timezone)
        if entry.ops:
            closed = variables.get("state") == "closed"
            return Message(
                key=entry.action_id,
                title=words.title,
                body=words.body,
                locale=words.locale,
                severity="resolved" if closed else "warning",
                thread=proposal.incident_id or proposal.finding_id,
                why=f"{proposal.rule}: {variables.get('kind')}",
                labels={"kind": str(variables.get("kind")), "subject": proposal.subject},
                started_at=variables.get("since"),
                template=entry.template,
            )
        return Message(
            key=entry.action_id,
            title=words.title,
            body=words.body,
            locale=words.locale,
            recipient=contact,
            customer_id=proposal.customer_id,
            order_id=proposal.order_id,
            purpose=proposal.purpose,
            template=entry.template,
            variables={
                name: value for name, value in variables.items() if name not in HIDDEN and value is not None
            }
            | self._templates.spoken_facts(variables, words.locale, proposal.timezone),
            coupon_code=variables.get("coupon_code"),
            labels={"kind": str(proposal.kind)},
            unsubscribe=self._link(entry),
        )

    def _link(self, entry: Entry) -> str | None:
        customer = entry.proposal.customer_id
        if self._unsubscribe is None or customer is None or entry.kind is not ActionKind.MESSAGE:
            return None
        return self._unsubscribe(customer)

    async def sent_as(self, claim: Claim, contact: Contact | None) -> Message | None:
        """What a claim said when it was sent, to be found at its provider; None without its receiver. Templates may have
        changed since: what is found is found by `said`.
        """
        entry = entry_of(claim)
        if contact is None and not entry.ops:
            return None
        return replace(await self.message(entry, contact), said=claim.said)

    async def _money(self, entry: Entry) -> dict[str, Any]:
        """The coupon that the words speak of; nothing where they go without it."""
        proposal = entry.proposal
        none = dict.fromkeys(("amount", "currency", "coupon_code", "coupon_until", "minimum_order"))
        if proposal.depends_on is None or entry.fallen_back:
            return none
        gift = await self._ledger.get(proposal.depends_on)
        if gift is None or gift.proposal.kind is not ActionKind.COUPON or gift.state != "done":
            return none
        return {
            "amount": gift.proposal.amount,
            "currency": gift.proposal.currency,
            "coupon_code": gift.coupon_code,
            "coupon_until": coupon_until(gift.decided_at, gift.proposal.coupon_days),
            "minimum_order": gift.proposal.minimum_order,
        }


def _ready(entry: Entry, given: Mapping[str, Any]) -> Message:
    """An ops message composed by incidents: the fields of `Message` that JSON can hold."""
    plain = (
        "title",
        "body",
        "locale",
        "severity",
        "link",
        "thread",
        "update_of",
        "why",
        "started_at",
        "ended_at",
    )
    return Message(
        key=entry.action_id,
        **{name: given[name] for name in plain if given.get(name) is not None},
        fields=tuple((str(name), str(value)) for name, value in given.get("fields", ())),
        buttons=tuple(Button(**button) for button in given.get("buttons", ())),
        mention=tuple(given.get("mention", ())),
        labels=dict(given.get("labels", {})),
    )
