"""What delivery hands to a channel or a coupon provider, and what it gets back.

Channels send once and classify the answer; delivery owns every retry, rate and deadline. A channel is a folder under
`notifier/channels/` (config class, code, golden requests), one line in `notifier/registry.py`, and a fake under
`tests/fakes/` that enforces the provider's signature, limits and in-body errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

Instant: TypeAlias = int


class Answer(StrEnum):
    DONE = "done"
    RETRY = "retry"  # certainly not done; try again after `retry_after`
    PERMANENT = "permanent"  # certainly not done, and never will be
    AMBIGUOUS = "ambiguous"  # perhaps done: the reply was lost


class Cause(StrEnum):
    """Why a send was not done: a closed list, a metric label."""

    NONE = "none"
    RATE = "rate"  # 429, or the provider's in-body equivalent
    RECIPIENT_RATE = "recipient_rate"  # too many to this recipient: the channel goes on
    SERVER = "server"  # 5xx before anything happened
    NETWORK = "network"  # not connected: nothing was sent
    LOST_REPLY = "lost_reply"  # sent, no usable answer
    AUTH = "auth"  # signature, key, token
    REJECTED = "rejected"  # the provider refuses this message
    TOO_LARGE = "too_large"
    OPTED_OUT = "opted_out"  # the provider knows that the recipient said no, to all that will come
    NO_CONSENT = "no_consent"  # the recipient has not said yes to this one
    NO_CONTACT = "no_contact"
    CONFLICT = "conflict"  # the code or key exists and is not ours


@dataclass(frozen=True, slots=True)
class SendResult:
    """`detail` is the provider's code, never its text: texts can quote phone numbers and secrets."""

    answer: Answer
    cause: Cause = Cause.NONE
    retry_after: float | None = None  # seconds
    provider_id: str | None = None  # for updates, threads and reconciliation
    detail: str = ""
    requests: int = 1  # that count against the channel's rate: a picture may be one of its own


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """Personal data: read from the store at the moment of sending, never logged."""

    phone: str | None = None
    email: str | None = None
    openid: str | None = None

    def __repr__(self) -> str:
        return "Contact(<personal data>)"


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    url: str
    style: str = "default"  # default | primary | danger


Tell: TypeAlias = Literal["edit", "thread", "channel"]
"""How loudly news of a message already posted is told: by the edit alone, also under it, also to the whole channel."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, rendered. Ops messages use title, body (CommonMark), fields, severity, buttons, image and
    thread; customer messages use recipient, purpose, template and variables (SMS gateways take those, not text).
    """

    key: str  # idempotency key, stable over retries
    title: str
    body: str
    locale: str = "zh-CN"
    severity: str = "info"  # critical | warning | info | resolved
    fields: tuple[tuple[str, str], ...] = ()
    link: str | None = None
    buttons: tuple[Button, ...] = ()
    image: bytes | None = None  # PNG
    image_url: str | None = None  # the same picture, for channels that fetch it
    thread: str | None = None  # incident id: messages of one incident belong together
    update_of: str | None = None  # provider_id of the message to edit, where the channel can
    reply_to: str | None = None  # provider_id of the message that this one belongs under
    tell: Tell = "thread"
    why: str = ""  # reason for sending, shown to ops people
    mention: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # Alertmanager, PagerDuty
    started_at: Instant | None = None
    ended_at: Instant | None = None
    recipient: Contact | None = None
    customer_id: str | None = None
    order_id: str | None = None
    purpose: str = "service"
    template: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    coupon_code: str | None = None
    said: str = ""  # in a look-up: what the text that was sent is known by (`notifier.said`)
    unsubscribe: str | None = None  # where this customer says no more, with one POST (RFC 8058)


@dataclass(frozen=True, slots=True)
class Capabilities:
    thread: bool = False
    update: bool = False
    buttons: bool = False
    image: bool = False
    image_url: bool = False  # shows a picture that it, or its reader, fetches
    idempotent: bool = False  # the provider drops a repeated key
    acknowledge: bool = False  # can be told quietly that somebody has it


@dataclass(frozen=True, slots=True)
class Limits:
    body_bytes: int = 1_000_000
    per_second: float | None = None
    per_minute: float | None = None
    crowded_minutes: tuple[int, ...] = ()  # of the hour, around which the provider refuses: kept clear of


class Channel(Protocol):
    """`send` never raises for what a provider or network does; it classifies."""

    name: str
    capabilities: Capabilities
    limits: Limits

    async def send(self, message: Message, now: Instant) -> SendResult: ...


@runtime_checkable
class Splitting(Protocol):
    """A channel whose messages have a size: what does not fit goes as several (`notifier.parts`)."""

    def fits(self, message: Message) -> bool:
        """Whether all of it can be sent at once, with nothing cut."""
        ...


class Trace(StrEnum):
    """What a provider says of a message whose reply was lost."""

    DONE = "done"
    FAILED = "failed"  # taken, and not to be delivered
    ABSENT = "absent"  # surely never taken: it may be sent
    UNANSWERED = "unanswered"  # nothing may be concluded


@runtime_checkable
class Traceable(Protocol):
    """A channel without keys whose provider can be asked what became of a message."""

    async def trace(self, message: Message, began_at: Instant, now: Instant) -> Trace:
        """`message` as it was sent, `began_at` when. ABSENT only when the provider's own list has settled."""
        ...


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon to be issued; `code` is deterministic, so asking twice asks for the same one."""

    code: str
    amount: int  # minor units
    currency: str
    intent: str  # the claim's action_id, stored at the shop to prove it is ours
    customer_id: str | None
    order_id: str | None
    expires_at: Instant
    recipient: Contact | None = None
    minimum_order: int = 0


class CouponsUnavailableError(Exception):
    """The shop did not list its codes: nothing may be concluded from what is missing."""


class CouponProvider(Protocol):
    name: str
    limits: Limits

    async def issue(self, coupon: Coupon, now: Instant) -> SendResult:
        """DONE also where the code exists already and is verified as ours."""
        ...

    async def find(self, code: str, now: Instant) -> bool | None:
        """Whether the code exists at the shop and is ours; None where the shop did not answer."""
        ...

    def codes(self, prefix: str, now: Instant) -> AsyncIterator[str]:
        """All codes of ours at the shop, in upper case, for reconciliation after a restore. Raises
        `CouponsUnavailableError` where the list is not whole.
        """
        ...
