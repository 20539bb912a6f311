"""What policy says about a finding, and why not: the mission's own rules, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import structs

from config.loading import ConfigError
from config.policies import ACTIONS, KINDS, load_pack
from detectors.clock import kept_until
from detectors.findings import CloseReason, Finding, Kind, State, Subject, SubjectType
from monitor import policy
from monitor.policy import OrderFacts
from notifier.actions import ActionKind, Proposal, Reason
from notifier.templates import Templates

DAY = 86_400_000
NOW = 1_795_334_400_000
PACK = load_pack()
DEFAULT = Path(__file__).parent.parent / "config" / "policies" / "default.toml"
FACTS = OrderFacts(
    customer_id="c-1",
    order_id="1001",
    tracking_number="SF1",
    amount=12_900,
    currency="CNY",
    locale="zh-CN",
    has_contact=True,
)


def finding(kind: Kind = Kind.PROMISE_BROKEN, **changes: Any) -> Finding:
    base = Finding(
        detector="stall",
        kind=kind,
        subject=Subject(SubjectType.PARCEL, "SF1"),
        started_at=NOW - 2 * DAY,
        opened_at=NOW,
        as_of=NOW,
        state=State.OPENED,
        score=0.9,
        evidence={"carrier": "SF", "age_hours": 48.0},
    )
    return structs.replace(base, **changes)


def decide(*given: Any, **more: Any) -> list[Proposal]:
    return list(policy.decide(*given, **more).proposals)


def by_kind(proposals: list[Proposal]) -> dict[ActionKind, Proposal]:
    return {proposal.kind: proposal for proposal in proposals}


def test_a_late_parcel_brings_five_yuan_faster_shipping_and_one_message() -> None:
    proposals = by_kind(decide(finding(), FACTS, PACK, NOW))
    assert set(proposals) == {ActionKind.COUPON, ActionKind.UPGRADE_SHIPPING, ActionKind.MESSAGE}
    assert proposals[ActionKind.COUPON].amount == 500
    assert proposals[ActionKind.COUPON].purpose == "offer"
    message = proposals[ActionKind.MESSAGE]
    assert (message.template, message.fallback) == ("late_coupon", "late")
    assert message.depends_on == proposals[ActionKind.COUPON].action_id
    assert all(proposal.suppressed is None for proposal in proposals.values())


def test_the_coupon_stands_before_the_message_that_speaks_of_it() -> None:
    kinds = [proposal.kind for proposal in decide(finding(), FACTS, PACK, NOW)]
    assert kinds.index(ActionKind.COUPON) < kinds.index(ActionKind.MESSAGE)


def test_customs_waits_for_its_seven_days_and_then_pays_ten_with_priority_clearance() -> None:
    started = NOW - 3 * DAY
    proposals = by_kind(decide(finding(Kind.CUSTOMS_STALLED, started_at=started), FACTS, PACK, NOW))
    assert proposals[ActionKind.COUPON].amount == 1000
    assert proposals[ActionKind.UPGRADE_SHIPPING].template == "priority_clearance"
    assert {proposal.not_before for proposal in proposals.values()} == {started + 7 * DAY}
    later = decide(finding(Kind.CUSTOMS_STALLED, started_at=NOW - 8 * DAY), FACTS, PACK, NOW)
    assert {proposal.not_before for proposal in later} == {None}


def test_two_delays_of_one_order_are_one_cause() -> None:
    late = by_kind(decide(finding(), FACTS, PACK, NOW))[ActionKind.COUPON]
    customs = by_kind(decide(finding(Kind.CUSTOMS_STALLED), FACTS, PACK, NOW))[ActionKind.COUPON]
    other = by_kind(decide(finding(Kind.LINEHAUL_STALLED, detector="other"), FACTS, PACK, NOW))[
        ActionKind.COUPON
    ]
    assert late.cause == customs.cause
    assert late.action_id == other.action_id


@pytest.mark.parametrize(
    ("kind", "promised_at", "spoken", "overdue"),
    [
        (Kind.LINEHAUL_STALLED, NOW + DAY, NOW + DAY, False),
        (Kind.LINEHAUL_STALLED, NOW - 1, NOW - 1, True),
        (Kind.LINEHAUL_STALLED, None, None, False),
        # Its words wait for their hour, and the day will have passed by then.
        (Kind.CUSTOMS_STALLED, NOW + DAY, NOW + DAY, True),
        # The engine saw this one broken, whatever the order's own day says.
        (Kind.PROMISE_BROKEN, NOW + DAY, NOW - 2 * DAY, True),
    ],
)
def test_the_words_know_whether_the_promised_day_has_passed(
    kind: Kind, promised_at: int | None, spoken: int | None, *, overdue: bool
) -> None:
    facts = replace(FACTS, promised_at=promised_at)
    message = by_kind(decide(finding(kind), facts, PACK, NOW))[ActionKind.MESSAGE]
    assert message.variables["promised_at"] == spoken
    assert message.variables["overdue"] is overdue


@pytest.mark.parametrize("where", ["Asia/Shanghai", "America/Los_Angeles", "Pacific/Auckland"])
@pytest.mark.parametrize("given", ["2026-11-26T00:00:00+08:00", "2026-11-26T00:00:00+00:00"])
@pytest.mark.parametrize("kind", [Kind.LINEHAUL_STALLED, Kind.PROMISE_BROKEN])
def test_a_promise_that_names_a_day_is_spoken_of_as_that_day_wherever_it_is_read(
    kind: Kind, given: str, where: str
) -> None:
    """Told of at its end, as the engine keeps it: in another zone that is another day."""
    ends = kept_until(round(datetime.fromisoformat(given).timestamp() * 1000), "Asia/Shanghai")
    facts = replace(FACTS, promised_at=ends, timezone=where, shop_timezone="Asia/Shanghai")
    one = structs.replace(finding(kind), started_at=ends)
    message = by_kind(decide(one, facts, PACK, NOW))[ActionKind.MESSAGE]
    assert Templates().spoken_facts(message.variables, "en", where)["promised_day"] == "November 26, 2026"


def test_a_slow_refund_brings_words_and_a_ticket() -> None:
    proposals = by_kind(decide(finding(Kind.REFUND_STALLED), FACTS, PACK, NOW))
    assert set(proposals) == {ActionKind.TICKET, ActionKind.MESSAGE}


def test_an_odd_signature_brings_a_question_and_no_money() -> None:
    (question,) = decide(finding(Kind.SIGNATURE_SUSPECT), FACTS, PACK, NOW)
    assert (question.kind, question.template, question.amount) == (
        ActionKind.MESSAGE,
        "signature_question",
        0,
    )
    assert not question.capped


def test_a_repeated_complaint_brings_care_even_while_a_ticket_is_open() -> None:
    repeat = finding(Kind.REPEAT_COMPLAINER, subject=Subject(SubjectType.CUSTOMER, "c-1"))
    proposals = decide(repeat, replace(FACTS, order_id=None, open_ticket=True), PACK, NOW)
    assert [proposal.kind for proposal in proposals] == [ActionKind.HIGH_CARE, ActionKind.TICKET]
    assert {proposal.suppressed for proposal in proposals} == {None}


def test_a_jammed_hub_is_told_to_ops_and_told_again_when_it_is_over() -> None:
    hub = finding(Kind.FACILITY_CONGESTED, subject=Subject(SubjectType.FACILITY, "沈阳"))
    (opened,) = decide(hub, None, PACK, NOW, incident_id="I7")
    (closed,) = decide(
        structs.replace(hub, state=State.CLOSED, close_reason=CloseReason.RECOVERED), None, PACK, NOW
    )
    assert opened.kind is closed.kind is ActionKind.OPS_ALERT
    assert opened.incident_id == "I7"
    assert opened.action_id != closed.action_id
    assert not opened.holdout


def test_every_kind_of_finding_has_a_rule() -> None:
    assert {kind for rule in PACK.rules for kind in rule.kinds} == {str(kind) for kind in Kind}
    assert set(get_args(KINDS)) == {str(kind) for kind in Kind}
    assert set(get_args(ACTIONS)) == {str(kind) for kind in ActionKind}


@pytest.mark.parametrize(
    ("order_value", "tier", "amount"),
    [
        (0, None, 500),
        (49_999, None, 500),
        (50_000, None, 1000),
        (200_000, None, 2000),
        (1_000_000, None, 8000),
        (12_900, "gold", 750),
        (50_000, "platinum", 2000),
        (12_900, "tin", 500),
    ],
)
def test_the_ladder_rises_with_the_order_and_the_tier(
    order_value: int, tier: str | None, amount: int
) -> None:
    facts = replace(FACTS, amount=order_value, tier=tier)
    assert by_kind(decide(finding(), facts, PACK, NOW))[ActionKind.COUPON].amount == amount


@pytest.mark.parametrize(
    ("facts", "changes", "reason"),
    [
        (None, {}, Reason.ORDER_UNKNOWN),
        (OrderFacts(), {}, Reason.ORDER_UNKNOWN),
        (replace(FACTS, cancelled=True), {}, Reason.RECOVERED),
        (replace(FACTS, received=True), {}, Reason.RECEIVED),
        (replace(FACTS, open_ticket=True), {}, Reason.TICKET_OPEN),
        (replace(FACTS, customer_cause=True), {}, Reason.CUSTOMER_CAUSE),
        (FACTS, {"score": 0.2}, Reason.BELOW_SCORE),
    ],
)
def test_every_no_has_its_name(facts: OrderFacts | None, changes: dict[str, Any], reason: Reason) -> None:
    proposals = decide(finding(**changes), facts, PACK, NOW)
    assert {proposal.suppressed for proposal in proposals} == {reason}
    steps = policy.decide(finding(**changes), facts, PACK, NOW).steps
    assert reason in {step.reason for step in steps if not step.passed}


def test_a_rule_that_speaks_despite_an_open_ticket_is_not_stopped_by_it_at_sending_either() -> None:
    facts = replace(FACTS, open_ticket=True)
    repeated = Subject(SubjectType.CUSTOMER, "c-1")
    care = decide(finding(Kind.REPEAT_COMPLAINER, subject=repeated), facts, PACK, NOW)
    assert care
    assert {(proposal.suppressed, proposal.despite_ticket) for proposal in care} == {(None, True)}
    assert not any(proposal.despite_ticket for proposal in decide(finding(), FACTS, PACK, NOW))


def test_an_order_that_waits_to_be_shipped_brings_a_task_and_a_word_and_no_money() -> None:
    waiting = finding(Kind.FULFILMENT_STALLED, subject=Subject(SubjectType.ORDER, "1001"), score=0.2)
    proposals = by_kind(decide(waiting, FACTS, PACK, NOW))
    assert set(proposals) == {ActionKind.TICKET, ActionKind.MESSAGE}
    assert {proposal.suppressed for proposal in proposals.values()} == {None}
    late = by_kind(decide(finding(), FACTS, PACK, NOW))[ActionKind.MESSAGE]
    assert late.action_id != proposals[ActionKind.MESSAGE].action_id


@pytest.mark.parametrize("reason", [Reason.HISTORY, Reason.LEARNING, Reason.FEED_SILENT, Reason.INHIBITED])
def test_what_is_held_back_is_recorded_with_the_reason(reason: Reason) -> None:
    proposals = decide(finding(), FACTS, PACK, NOW, held_back=reason)
    assert proposals
    assert {proposal.suppressed for proposal in proposals} == {reason}


def test_without_a_contact_the_coupon_goes_to_the_account_and_no_message_leaves() -> None:
    proposals = by_kind(decide(finding(), replace(FACTS, has_contact=False), PACK, NOW))
    assert proposals[ActionKind.MESSAGE].suppressed is Reason.NO_CONTACT
    assert proposals[ActionKind.COUPON].suppressed is None


def test_an_order_in_another_currency_gets_no_coupon_of_this_pack() -> None:
    proposals = by_kind(decide(finding(), replace(FACTS, currency="USD"), PACK, NOW))
    assert proposals[ActionKind.COUPON].suppressed is Reason.NO_RULE


def test_an_arrival_is_mentioned_to_those_who_had_the_apology() -> None:
    closed = finding(state=State.CLOSED, close_reason=CloseReason.DELIVERED)
    (arrived,) = decide(closed, FACTS, PACK, NOW)
    apology = by_kind(decide(finding(), FACTS, PACK, NOW))[ActionKind.MESSAGE]
    assert arrived.template == "arrived"
    assert arrived.depends_on == apology.action_id


@pytest.mark.parametrize("reason", [one for one in CloseReason if one is not CloseReason.DELIVERED])
def test_what_ended_otherwise_than_delivered_has_not_arrived(reason: CloseReason) -> None:
    assert decide(finding(state=State.CLOSED, close_reason=reason), FACTS, PACK, NOW) == []


def test_a_coupon_is_good_from_the_order_value_that_the_pack_says(tmp_path: Path) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    path = tmp_path / "pack.toml"
    path.write_text(
        text.replace('amount = "5.00"', 'amount = "5.00"\nminimum_order = "99.50"', 1), encoding="utf-8"
    )
    coupons = [
        by_kind(decide(finding(), FACTS, pack, NOW))[ActionKind.COUPON] for pack in (load_pack(path), PACK)
    ]
    assert [coupon.minimum_order for coupon in coupons] == [9_950, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('amount = "5.00"', "amount = 5.00"), "rules.0.actions.0.amount: write money as text"),
        (('amount = "5.00"', 'amount = "5.001"'), "finer than the smallest unit of CNY"),
        (
            ('amount = "5.00"', 'amount = "5.00"\nminimum_order = "99.001"'),
            "99.001 is finer than the smallest unit of CNY",
        ),
        (("min_score = 0.7", "min_scor = 0.7"), "rules.3.min_scor: no such key; did you mean 'min_score'?"),
        (('kinds = ["customs_stalled"]', 'kinds = ["customs"]'), "rules.2.kinds.0"),
        (('kinds = ["customs_stalled"]', 'kinds = ["promise_broken"]'), "both speak of promise_broken"),
        (('version = "1"', 'version = "1'), "not valid TOML"),
        (
            ('kinds = ["repeat_complainer"]', 'kinds = ["collection_stalled"]'),
            "rules collection and care both speak of collection_stalled",
        ),
        (
            ('kinds = ["customs_stalled"]', 'kinds = ["customs_stalled", "repeat_complainer"]'),
            "no money for what customers say alone: repeat_complainer",
        ),
    ],
)
def test_a_wrong_pack_says_where_and_what(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "pack.toml"
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{path.name}.*") as caught:
        load_pack(path)
    assert said in str(caught.value)
