from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from detectors.clock import DAY, HOUR, MINUTE
from detectors.findings import CloseReason, Finding, State
from detectors.interfaces import SCHEMAS, Window, empty
from detectors.repeat_complainer import RepeatComplainer

NOON = 1_767_585_600_000


def complaint(identifier: str, received: int, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SCHEMAS["complaints"])
    row |= {"complaint_id": identifier, "status": "opened", "occurred": received, "received": received}
    row |= {"customer_id": "C1", "order_id": "O1", "category": "logistics", "reason": "late"}
    return row | fields


def run(detector: RepeatComplainer, now: int, *rows: dict[str, Any]) -> list[Finding]:
    names = ("feeds", "facilities", "lanes", "regions", "signoffs", "oddities")
    frame = pl.DataFrame(list(rows), schema=dict(SCHEMAS["complaints"]))
    return detector.run(Window(since=now - HOUR, until=now, complaints=frame, **{n: empty(n) for n in names}))


def test_the_second_complaint_about_the_same_order_and_matter_is_found() -> None:
    detector = RepeatComplainer()
    assert run(detector, NOON, complaint("A", NOON)) == []
    (found,) = run(detector, NOON + HOUR, complaint("B", NOON + HOUR, reason="lost"))
    assert found.subject.id == "C1"
    assert found.started_at == NOON
    assert found.evidence["times"] == 2
    assert "2 次" in found.evidence["zh"]
    assert "2 times" in found.evidence["en"]


def test_another_matter_another_order_or_another_customer_is_no_repetition() -> None:
    detector = RepeatComplainer()
    rows = [
        complaint("A", NOON),
        complaint("B", NOON, reason="damaged", category="product"),
        complaint("C", NOON, order_id="O2"),
        complaint("D", NOON, customer_id="C2"),
        complaint("E", NOON, customer_id=None),
        complaint("F", NOON, customer_id=None),
    ]
    assert run(detector, NOON, *rows) == []


def test_a_reopened_complaint_counts_and_the_same_event_twice_does_not() -> None:
    detector = RepeatComplainer()
    run(detector, NOON, complaint("A", NOON))
    assert run(detector, NOON + HOUR, complaint("A", NOON + HOUR)) == []
    again = complaint("A", NOON + 2 * HOUR, status="reopened")
    (found,) = run(detector, NOON + 2 * HOUR, again)
    assert found.evidence["complaints"] == ["A", "A"]
    assert run(detector, NOON + 3 * HOUR, again) == []


def test_a_complaint_reopened_after_a_restart_without_memory_still_counts() -> None:
    (found,) = run(RepeatComplainer(), NOON, complaint("A", NOON, status="reopened", occurred=NOON - DAY))
    assert found.evidence["times"] == 2


def test_a_withdrawn_complaint_is_taken_back() -> None:
    detector = RepeatComplainer()
    run(detector, NOON, complaint("A", NOON))
    run(detector, NOON, complaint("A", NOON, status="withdrawn"))
    assert run(detector, NOON + HOUR, complaint("B", NOON + HOUR)) == []
    (opened,) = run(detector, NOON + 2 * HOUR, complaint("C", NOON + 2 * HOUR))
    (closed,) = run(detector, NOON + 3 * HOUR, complaint("C", NOON + 3 * HOUR, status="withdrawn"))
    assert opened.state is State.OPENED
    assert (closed.state, closed.close_reason) == (State.CLOSED, CloseReason.ANSWERED)


def test_the_time_between_complaints_is_said_in_whole_hours_begun() -> None:
    for minutes, words in (
        (0, "within 1 hour "),
        (25, "within 1 hour "),
        (60, "within 1 hour "),
        (70, "within 2 hours "),
    ):
        again = NOON + minutes * MINUTE
        detector = RepeatComplainer()
        (found,) = run(detector, again, complaint("A", NOON), complaint("B", again))
        assert words in found.evidence["en"]
        assert f" {words.split()[1]} 小时内" in found.evidence["zh"]


def test_one_taken_back_of_three_leaves_a_repetition() -> None:
    detector = RepeatComplainer()
    run(detector, NOON, complaint("A", NOON), complaint("B", NOON), complaint("C", NOON))
    assert run(detector, NOON, complaint("C", NOON, status="withdrawn")) == []
    (closed,) = run(detector, NOON, complaint("B", NOON, status="withdrawn"))
    assert closed.state is State.CLOSED


def test_a_matter_of_last_month_is_not_gone_back_to_when_a_newer_one_is_answered() -> None:
    detector = RepeatComplainer()
    run(detector, NOON, complaint("a1", NOON, order_id="A"), complaint("a2", NOON, order_id="A"))
    later = NOON + 20 * DAY
    run(detector, later, complaint("z1", later, order_id="Z"), complaint("z2", later, order_id="Z"))
    now = NOON + 31 * DAY
    assert run(detector, now) == [], "the customer is still waiting, about Z"
    (closed,) = run(detector, now, complaint("z2", now, order_id="Z", status="resolved"))
    assert (closed.state, closed.close_reason) == (State.CLOSED, CloseReason.ANSWERED)


def test_the_episode_ends_with_the_last_matter_and_not_with_what_else_the_customer_said() -> None:
    detector = RepeatComplainer()
    for hour, (name, order) in enumerate((("a1", "A"), ("a2", "A"), ("b1", "B"))):
        run(detector, NOON + hour * HOUR, complaint(name, NOON + hour * HOUR, order_id=order))
    assert run(detector, NOON, complaint("b1", NOON, order_id="B", status="withdrawn")) == []
    (other,) = run(detector, NOON, complaint("z1", NOON, order_id="Z"), complaint("z2", NOON, order_id="Z"))
    assert other.evidence["order_id"] == "Z"
    (back,) = run(detector, NOON, complaint("z2", NOON, order_id="Z", status="resolved"))
    assert (back.state, back.evidence["order_id"]) == (State.UPDATED, "A")
    later = RepeatComplainer()
    later.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(detector.state())))
    (closed,) = run(later, NOON, complaint("a2", NOON, order_id="A", status="resolved"))
    assert (closed.state, closed.close_reason) == (State.CLOSED, CloseReason.ANSWERED)


def test_an_episode_of_an_older_checkpoint_ends_when_it_is_answered() -> None:
    first, second = RepeatComplainer(), RepeatComplainer()
    run(first, NOON, complaint("A", NOON), complaint("B", NOON))
    known = first.state()
    del known["repeated"]
    second.restore(known)
    (closed,) = run(second, NOON, complaint("B", NOON, status="resolved"))
    assert closed.close_reason is CloseReason.ANSWERED


def test_months_apart_is_no_repetition_and_memory_is_bounded() -> None:
    detector = RepeatComplainer(capacity=100)
    run(detector, NOON, complaint("A", NOON))
    assert run(detector, NOON + 40 * DAY, complaint("B", NOON + 40 * DAY)) == []
    for number in range(1000):
        run(detector, NOON + 41 * DAY, complaint(f"X{number}", NOON + 41 * DAY, customer_id=f"C{number}"))
    assert len(detector.state()["seen"]) <= 100


def test_a_restored_detector_remembers_the_first_complaint() -> None:
    first, second = RepeatComplainer(), RepeatComplainer()
    run(first, NOON, complaint("A", NOON))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.state())))
    later = complaint("B", NOON + HOUR)
    assert run(first, NOON + HOUR, later) == run(second, NOON + HOUR, later) != []
