"""From a finding to proposals, or to a no with a name. Pure: facts, pack and time in, records out.

    finding -> rule of its kind -> is it sure, recent, ours to speak of? -> one proposal an action of the rule

A no of policy is not final: nothing is claimed for it, and the next record of the same episode is judged anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from babel.numbers import get_currency_precision

from config.policies import Action, PolicyPack, Rule, minor
from detectors.clock import day_spoken_of
from detectors.findings import CloseReason, Finding, Instant, Kind, State, SubjectType
from notifier.actions import ActionKind, Proposal, Reason

HOUR_MS: Final = 3_600_000
OPS: Final = frozenset(
    {SubjectType.FACILITY, SubjectType.CARRIER, SubjectType.LANE, SubjectType.REGION, SubjectType.FEED}
    | {SubjectType.COURIER, SubjectType.SUPPLIER}
)
# What templates may speak of; absent evidence is None, so a template can ask.
WORDS: Final = (
    "carrier",
    "facility",
    "region",
    "lane",
    "segment",
    "age_hours",
    "expected_hours",
    "limit_hours",
)
TEXTS: Final = ("zh", "en")


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What the directory knows behind a finding at the moment of deciding. No contact data, only keyed hashes."""

    customer_id: str | None = None
    order_id: str | None = None
    tracking_number: str | None = None
    amount: int | None = None  # minor units
    currency: str | None = None
    locale: str | None = None
    tier: str | None = None
    region: str | None = None
    timezone: str | None = None
    promised_at: Instant | None = None
    shop_timezone: str = "UTC"  # in which a promise may name a day
    has_contact: bool = False
    open_ticket: bool = False
    cancelled: bool = False  # or refunded: nothing is owed any more
    received: bool = False  # its customer confirmed receipt of what is said to be late or lost
    customer_cause: bool = False  # it waits for its receiver, or was refused
    contact_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One question that policy asked, its answer, and what it looked at."""

    question: str
    passed: bool
    detail: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    steps: tuple[Step, ...]
    proposals: tuple[Proposal, ...] = field(default=())


def decide(
    finding: Finding,
    facts: OrderFacts | None,
    pack: PolicyPack,
    now: Instant,
    *,
    held_back: Reason | None = None,
    incident_id: str | None = None,
) -> Judgement:
    """Every question with its answer, and the proposals; a coupon precedes its message. `held_back` is what incidents,
    silences and feeds say against acting.
    """
    rule = pack.rule_of(finding.kind)
    if rule is None:
        step = Step("is there a rule", False, f"none for {finding.kind}", Reason.NO_RULE)
        return Judgement((step,), (_without_rule(finding, pack),))
    steps: list[Step] = [Step("is there a rule", True, rule.name)]
    wanted = [action for action in rule.actions if _speaks(action, rule, finding)]
    steps.append(
        Step(
            "does it act at this moment", bool(wanted), f"{finding.state}", None if wanted else Reason.CLOSED
        )
    )
    if not wanted:
        return Judgement(tuple(steps))
    for step in _doubts(finding, rule, facts, held_back):
        steps.append(step)
        if not step.passed:
            break
    no = steps[-1].reason
    draft = _Draft(finding, facts, pack, rule, incident_id, now)
    proposals = tuple(draft.proposal(action, channel, no) for action in wanted for channel in action.names)
    steps += [
        Step(f"{one.kind} {one.template}", one.suppressed is None, _amount(one), one.suppressed)
        for one in proposals
    ]
    return Judgement(tuple(steps), proposals)


def _speaks(action: Action, rule: Rule, finding: Finding) -> bool:
    if finding.state is not State.CLOSED:
        return not action.on_arrival
    if action.on_arrival:
        return finding.close_reason is CloseReason.DELIVERED  # a parcel sent back has arrived nowhere
    return rule.on_close and action.kind == "ops_alert"


def _doubts(
    finding: Finding, rule: Rule, facts: OrderFacts | None, held_back: Reason | None
) -> Iterator[Step]:
    yield _step("may it be spoken of now", held_back, str(held_back or "nothing against it"))
    unsure = Reason.BELOW_SCORE if finding.score < rule.min_score else None
    yield _step("is it sure enough", unsure, f"score {finding.score:.2f}, asked {rule.min_score:.2f}")
    if finding.subject.type in OPS:
        return
    known = facts is not None and facts.customer_id is not None
    yield _step("is the customer known", None if known else Reason.ORDER_UNKNOWN, finding.subject.id)
    if facts is None:
        return
    cancelled = Reason.RECOVERED if facts.cancelled else None
    yield _step("is the order alive", cancelled, "cancelled or refunded" if cancelled else "")
    received = Reason.RECEIVED if facts.received else None
    yield _step("is it not there yet", received, "the customer confirmed receipt" if received else "")
    theirs = Reason.CUSTOMER_CAUSE if rule.skip_customer_cause and facts.customer_cause else None
    yield _step("is the delay ours", theirs, "it waits for its receiver, or was refused" if theirs else "")
    talking = Reason.TICKET_OPEN if rule.skip_open_ticket and facts.open_ticket else None
    yield _step("is nobody talking to the customer yet", talking)


def _step(question: str, reason: Reason | None, detail: str = "") -> Step:
    return Step(question, reason is None, detail, reason)


@dataclass(frozen=True, slots=True)
class _Draft:
    finding: Finding
    facts: OrderFacts | None
    pack: PolicyPack
    rule: Rule
    incident_id: str | None
    now: Instant

    def proposal(self, action: Action, channel: str, no: Reason | None) -> Proposal:
        rule, finding, facts = self.rule, self.finding, self.facts or OrderFacts()
        kind = ActionKind(action.kind)
        place = finding.subject.type in OPS
        amount = self._amount(action)
        patience = finding.started_at + int(rule.after_hours * HOUR_MS)
        start = max(self.now, patience)
        capped = (
            action.capped if action.capped is not None else kind in {ActionKind.MESSAGE, ActionKind.COUPON}
        )
        return Proposal(
            kind=kind,
            finding_id=finding.finding_id,
            subject=f"{finding.subject.type}:{finding.subject.id}",
            cause=self._cause(facts.order_id, place),
            template=action.template,
            channel=channel,
            rule=rule.name,
            policy_version=self.pack.fingerprint,
            customer_id=facts.customer_id,
            order_id=facts.order_id,
            tracking_number=facts.tracking_number,
            amount=amount,
            currency=self.pack.currency,
            purpose=action.purpose,
            incident_id=self.incident_id,
            locale=facts.locale or self.pack.locale,
            variables=self._variables(facts, start),
            evidence={
                "kind": finding.kind,
                "detector": finding.detector,
                "score": finding.score,
                **finding.evidence,
            },
            expires_at=start + int(rule.expires_hours * HOUR_MS),
            depends_on=self._depends_on(action),
            fallback=action.fallback,
            capped=capped and not place,
            holdout=action.holdout and not place,
            despite_ticket=not rule.skip_open_ticket,
            not_before=patience if patience > self.now else None,
            coupon_days=action.coupon_days,
            minimum_order=minor(action.minimum_order, self.pack.currency),
            timezone=facts.timezone,
            contact_hashes=facts.contact_hashes,
            suppressed=no or self._own_no(action, facts),
        )

    def _cause(self, order_id: str | None, place: bool) -> str:
        """With an order, the problem family: two episodes of one order are one cause. Without, the episode; and its
        end is another cause than its beginning.
        """
        if order_id is not None and not place:
            return self.rule.cause
        end = ":end" if self.finding.state is State.CLOSED else ""
        return f"{self.rule.cause}:{self.finding.finding_id}{end}"

    def _own_no(self, action: Action, facts: OrderFacts) -> Reason | None:
        if action.kind == "message" and not facts.has_contact:
            return Reason.NO_CONTACT
        if action.kind == "coupon" and facts.currency not in {None, self.pack.currency}:
            return Reason.NO_RULE
        return None

    def _amount(self, action: Action) -> int:
        """The ladder's step by order value, times the tier's factor, rounded down to the smallest coin."""
        if action.kind != "coupon":
            return 0
        facts, currency = self.facts or OrderFacts(), self.pack.currency
        amount = action.amount
        for step in action.ladder:
            if (facts.amount or 0) >= minor(step.order_from, currency):
                amount = step.amount
        factor = Decimal(str(self.pack.tiers.get(facts.tier or "", 1)))
        return int((minor(amount, currency) * factor).to_integral_value(ROUND_DOWN))

    def _depends_on(self, action: Action) -> str | None:
        if action.with_coupon:
            wanted = next(one for one in self.rule.actions if one.kind == "coupon")
        elif action.on_arrival:
            wanted = next(
                (one for one in self.rule.actions if one.kind == "message" and not one.on_arrival),
                action,
            )
            if wanted is action:
                return None
        else:
            return None
        return self.proposal(wanted, wanted.names[0], None).action_id

    def _variables(self, facts: OrderFacts, at: Instant) -> dict[str, Any]:
        """`at` is when the words go at the earliest: what is overdue then is spoken of as overdue."""
        evidence: Mapping[str, Any] = self.finding.evidence
        promised = facts.promised_at
        if (
            self.finding.kind is Kind.PROMISE_BROKEN
        ):  # the promise that the engine saw broken, whatever the order says
            promised = self.finding.started_at
        found: dict[str, Any] = {word: evidence.get(word) for word in WORDS}
        found |= {
            "kind": str(self.finding.kind),
            "subject": self.finding.subject.id,
            "subject_type": str(self.finding.subject.type),
            "state": str(self.finding.state),
            "close_reason": str(self.finding.close_reason) if self.finding.close_reason else None,
            "score": round(self.finding.score, 3),
            "since": self.finding.started_at,
            "order_id": facts.order_id,
            "tracking_number": facts.tracking_number,
            "promised_at": promised and _spoken_of(promised, facts),
            "overdue": promised is not None and promised <= at,
            "customer_region": facts.region,
            "texts": {language: str(evidence[language]) for language in TEXTS if evidence.get(language)},
        }
        return found


def _spoken_of(promised: Instant, facts: OrderFacts) -> Instant:
    """For words, which name days by the receiver's clock: a promise that names a day ends when that day does."""
    where = facts.timezone or facts.shop_timezone
    day = day_spoken_of(promised, facts.shop_timezone, where)
    return promised if day is None else day


def _without_rule(finding: Finding, pack: PolicyPack) -> Proposal:
    return Proposal(
        kind=ActionKind.OPS_ALERT if finding.subject.type in OPS else ActionKind.MESSAGE,
        finding_id=finding.finding_id,
        subject=f"{finding.subject.type}:{finding.subject.id}",
        cause=finding.finding_id,
        template="",
        channel="",
        rule="",
        policy_version=pack.fingerprint,
        suppressed=Reason.NO_RULE,
    )


def _amount(proposal: Proposal) -> str:
    if not proposal.amount:
        return proposal.channel
    return (
        f"{Decimal(proposal.amount).scaleb(-get_currency_precision(proposal.currency))} {proposal.currency}"
    )
