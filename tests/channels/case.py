"""What the contract suite needs to know of a channel or coupon provider: one `CASE` in `tests/channels/<name>.py`
(`tests/channels/coupons_<name>.py`), and its golden requests in `tests/golden/channels/`.

    class Fake:                      # checks signature, limits; answers as the provider does
        def __call__(self, request: Request) -> Response: ...
    CASE = ChannelCase(options=lambda url: {...}, fake=Fake, secrets=("s3cret",), faults=(...,))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.sending import Answer, Button, Cause, Contact, Coupon, Message
from tests.fakes.server import Handler, Response

NOW = 1_795_334_400_000  # 2026-11-22T08:00:00Z
PHONE, EMAIL, OPENID = "+8613912345678", "li.lei@example.com", "oEd_openid_42"
PERSONAL = (PHONE, "13912345678", EMAIL, OPENID)


@dataclass(frozen=True)
class InBody:
    """An error that the provider says with its own words, and what it must be taken for."""

    name: str
    reply: Response
    answer: Answer
    cause: Cause
    retry_after: float | None = None


@dataclass(frozen=True)
class ChannelCase:
    """`statuses` holds the HTTP statuses that this provider means otherwise than `notifier.http.classify`.
    `extra` are messages of the channel's own (a card with buttons, a picture), each with a golden request.
    `http` off leaves out what is about HTTP, for channels that do not speak it.
    """

    options: Callable[[str], Mapping[str, Any]]
    fake: Callable[[], Handler]
    secrets: tuple[str, ...]
    faults: tuple[InBody, ...] = ()
    statuses: Mapping[int, tuple[Answer, Cause]] = field(default_factory=dict)
    extra: Mapping[str, Message] = field(default_factory=dict)
    audience: str = "ops"  # ops | customer | both
    http: bool = True
    warm: bool = False  # a first message fetches a token; the suite's faults come after it


@dataclass(frozen=True)
class CouponCase:
    """`fake` answers with the coupon made; `taken` is a fake at which the code exists for another intent. `unsure` are
    answers to a look-up and to a list that say nothing of what exists.
    """

    options: Callable[[str], Mapping[str, Any]]
    fake: Callable[[], Handler]
    taken: Callable[[], Handler]
    secrets: tuple[str, ...]
    unsure: tuple[Response, ...]
    faults: tuple[InBody, ...] = ()
    statuses: Mapping[int, tuple[Answer, Cause]] = field(default_factory=dict)


OPS = Message(
    key="A1f0c",
    title="Hub 沈阳 is congested",
    body="**3,021 parcels** wait; usual is 400.\n\n* oldest: 31 h\n* carrier: SF",
    locale="en",
    severity="critical",
    fields=(("facility", "沈阳分拨中心"), ("stock", "3021")),
    link="https://ops.example.com/incidents/I7",
    buttons=(Button("Acknowledge", "https://ops.example.com/a/1", "primary"),),
    thread="I7",
    why="facility_congested, score 0.98",
    labels={"kind": "facility_congested", "carrier": "SF"},
    started_at=NOW - 3_600_000,
)
PICTURE_URL = "https://ops.example.com/chart/t0.png"
PNG = b"\x89PNG\r\n\x1a\npicture"
CALLED = (
    "13900000000",
    "zhang",
    "U024BE7LH",
    "SAZ94GDB8",
    "wang.wei",
    "li@example.com",
    "112233445566778899",
    "<!channel>",
    "@all",
)
RESOLVED = Message(
    key="A1f0d",
    title="Hub 沈阳 is back to its usual",
    body="410 parcels.",
    locale="en",
    severity="resolved",
    thread="I7",
    labels={"kind": "facility_congested", "carrier": "SF"},
    started_at=NOW - 3_600_000,
    ended_at=NOW,
)
HOSTILE = Message(
    key="A1f0e",
    title='<script>&"\u202e\u0000 ]]> @all <!channel> *_`~[x](y)',
    body="𝒳 👩‍👩‍👧‍👦 زبان 日本語\n@everyone <at id=all></at> \\u0041 {{ x }} " + "é" * 50,
    severity="warning",
    fields=(("<b>", "a|b\nc"),),
)
CUSTOMER = Message(
    key="A2b0c",
    title="您的包裹晚到了",
    body="您的包裹延误了，抱歉。5 元优惠券 SRY7Q2K9MZ4T8AB 已放入账户。",
    locale="zh-CN",
    recipient=Contact(PHONE, EMAIL, OPENID),
    customer_id="c-1",
    order_id="1001",
    template="late_coupon",
    variables={"amount": 500, "currency": "CNY", "carrier": "SF"},
    coupon_code="SRY7Q2K9MZ4T8AB",
)
COUPON = Coupon(
    code="SRY7Q2K9MZ4T8AB",
    amount=500,
    currency="CNY",
    intent="A0123456789abcdef01234567",
    customer_id="c-1",
    order_id="1001",
    expires_at=NOW + 30 * 86_400_000,
    recipient=Contact(PHONE, EMAIL, OPENID),
    minimum_order=3000,
)


LONG_LINES = tuple(
    f'- 网点 {number}：**{number * 7} 件** 滞留，自 11-22 08:{number % 60:02d} <b>&"é 👩‍👩‍👧‍👦'
    for number in range(400)
)
LONG = Message(
    key="A1f10",
    title="积压 <网点> & 更多",
    body="\n".join(LONG_LINES),
    severity="warning",
    fields=tuple((f"字段{number}", f"值{number} " + "满" * (60 * (number % 9))) for number in range(24)),
    link="https://ops.example.com/incidents/I7",
    buttons=(Button("认领", "https://ops.example.com/a/1", "primary"),),
    thread="I9",
    why="首次触发",
)


def messages(case: ChannelCase) -> dict[str, Message]:
    found = dict(case.extra)
    if case.audience in {"ops", "both"}:
        found |= {"ops": OPS, "resolved": RESOLVED, "hostile": HOSTILE}
    if case.audience in {"customer", "both"}:
        found |= {"customer": CUSTOMER}
    return found
