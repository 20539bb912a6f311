"""The records of a decision: what policy proposes, what the ledger decided, and why not.

Money is an integer in minor units (fen, cent) everywhere inside the program.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Instant: TypeAlias = int


class ActionKind(StrEnum):
    MESSAGE = "message"
    COUPON = "coupon"
    UPGRADE_SHIPPING = "upgrade_shipping"
    TICKET = "ticket"
    OPS_ALERT = "ops_alert"
    HIGH_CARE = "high_care"


class Outcome(StrEnum):
    SEND = "send"
    SUPPRESSED = "suppressed"
    HELD = "held"


class Arm(StrEnum):
    TREATED = "treated"
    HOLDOUT = "holdout"


class Reason(StrEnum):
    """Why an action was sent, held or suppressed: the closed list behind every "why was I not told?"."""

    OK = "ok"
    # policy
    NO_RULE = "no_rule"  # no rule of the pack speaks of this kind
    BELOW_SCORE = "below_score"  # the rule asks for a surer finding
    ORDER_UNKNOWN = "order_unknown"  # no order known behind the parcel: nobody to write to
    HISTORY = "history"  # older than the history limit, or first seen when delivered
    LEARNING = "learning"  # the feed is new or just back: learned from, not acted on
    FEED_SILENT = "feed_silent"  # the feed behind the finding is silent
    INHIBITED = "inhibited"  # an incident above it speaks for it
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    TICKET_OPEN = "ticket_open"  # the customer already talks to a person
    CUSTOMER_CAUSE = "customer_cause"  # wrong address, refused: not our delay
    SUPERSEDED = "superseded"  # another action speaks for the same cause
    CLOSED = "closed"  # the episode is over before anything was decided
    DEPENDENCY = "dependency"  # what it would speak of did not happen
    # ledger
    SHADOW = "shadow"  # decided and recorded, nothing leaves
    HOLDOUT = "holdout"
    ALREADY_COMPENSATED = "already_compensated"
    CUSTOMER_CAP = "customer_cap"  # one apology in 90 days
    CONTACT_CAP = "contact_cap"  # the same phone or address under many names
    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    BUDGET_DAY = "budget_day"
    BUDGET_HOUR = "budget_hour"
    BUDGET_INCIDENT = "budget_incident"
    BUDGET_TENANT = "budget_tenant"
    BUDGET_CUSTOMER = "budget_customer"
    NEEDS_APPROVAL = "needs_approval"
    REJECTED = "rejected"  # by a person
    KILL_SWITCH = "kill_switch"
    HOLD = "hold"  # after a restore: reconcile before anything is spent
    BREAKER = "breaker"  # decisions come faster than ever before
    # sending
    QUIET_HOURS = "quiet_hours"  # waits for the morning
    EXPIRED = "expired"  # too old to be welcome
    RECOVERED = "recovered"  # the parcel moved, the order was cancelled
    RECEIVED = "received"  # the customer confirmed receipt: what was late or lost has come
    NO_CONTACT = "no_contact"
    CHANNEL_REJECTED = "channel_rejected"  # the provider's final no
    COUPON_FAILED = "coupon_failed"  # the message waits for a coupon that will not come
    RATE_LIMITED = "rate_limited"  # waits for the channel's bucket
    PROVIDER_DOWN = (
        "provider_down"  # waits for a provider that does not answer, or for a key that a person renews
    )
    UNRECORDED = "unrecorded"  # waits for room on the disk: what leaves is written down first
    UNKNOWN = "unknown"  # the provider may or may not have done it


@dataclass(frozen=True, slots=True)
class Proposal:
    """What policy asks the ledger to do. `cause` names the thing compensated (order and problem family):
    two proposals of one customer, order, cause and kind are one claim, whatever finding they came from.
    """

    kind: ActionKind
    finding_id: str
    subject: str  # "parcel:SF123"
    cause: str
    template: str
    channel: str
    rule: str
    policy_version: str
    customer_id: str | None = None
    order_id: str | None = None
    tracking_number: str | None = None
    amount: int = 0
    currency: str = "CNY"
    purpose: str = "service"  # service | offer: separate consent
    incident_id: str | None = None
    locale: str = "zh-CN"
    variables: Mapping[str, Any] = field(default_factory=dict)  # for the template; no contact data
    evidence: Mapping[str, Any] = field(default_factory=dict)
    expires_at: Instant | None = None
    depends_on: str | None = None  # action_id of the coupon that the words speak of
    fallback: str | None = None  # template where that coupon does not come: words without an offer
    capped: bool = True  # counts as an apology: one a customer in 90 days
    holdout: bool = True  # the holdout arm is kept silent
    despite_ticket: bool = False  # said also where a person of the shop is talking already
    not_before: Instant | None = None  # the rule's own patience: customs over 7 days
    coupon_days: int = 30
    minimum_order: int = 0
    timezone: str | None = None  # of the customer, for quiet hours; none: the shop's
    contact_hashes: tuple[str, ...] = ()  # keyed hashes of phone and address (`notifier.identity`)
    suppressed: Reason | None = None  # policy's own no: recorded by the ledger, never sent

    @property
    def action_id(self) -> str:
        key: tuple[str, ...] = (
            self.kind,
            self.customer_id or self.subject,
            self.order_id or "",
            self.cause,
            self.template,
        )
        if self.kind is ActionKind.OPS_ALERT:  # one alert may go to several rooms
            key = (*key, self.channel)
        return "A" + hashlib.blake2b("\0".join(key).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Decided:
    """A proposal after the ledger: the decision that every later run will see again."""

    proposal: Proposal
    outcome: Outcome
    reason: Reason
    decided_at: Instant
    arm: Arm | None = None
    coupon_code: str | None = None
    repeated: bool = False  # claimed before: this is the stored decision
