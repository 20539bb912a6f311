"""From stream entries to batches: the contract, no more and no less, and one bad row never takes another with it."""

from __future__ import annotations

import io
import json
import math
import random
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import wire
from monitor.decode import Decoder, check_lines, decode_lines, longer_line, pieces
from monitor.identity import identity
from monitor.names import Names
from monitor.scancolumns import DELIVERED, STATUS
from monitor.stream import Frame
from monitor.times import DAY, parse_time
from monitor.vocabulary import DeadReason, DeliveredTo, Status
from tests.stream import schema

SCAN = {
    "kind": "tracking",
    "event_id": "e1",
    "source": "aftership",
    "occurred_at": "2026-03-01T08:00:00+08:00",
    "received_at": "2026-03-01T00:01:00Z",
    "tracking_number": "SF1234567890",
    "carrier": "sf",
    "status": "arrived",
    "facility": "深圳转运中心",
    "region": "440300",
    "courier_id": "c-7",
    "delivered_to": "locker",
    "latitude": 22.5,
    "longitude": 114,
    "estimated_at": "2026-03-03T00:00:00Z",
}
ORDER = {
    "kind": "order",
    "event_id": "o1",
    "source": "shop",
    "occurred_at": "2026-03-01T00:00:00Z",
    "order_id": "O-1",
    "customer_id": "C-1",
    "status": "paid",
    "amount": 19.99,
    "currency": "CNY",
    "promised_at": "2026-03-05T00:00:00Z",
    "contact": {"phone": "13800138000"},
    "extra": {"campaign": 7},
}
COMPLAINT = {
    "kind": "complaint",
    "event_id": "k1",
    "source": "desk",
    "occurred_at": "2026-03-01T00:00:00Z",
    "complaint_id": "K-1",
    "status": "opened",
    "category": "logistics",
    "severity": "major",
    "satisfaction": 3,
    "text": "坏了",
}
ENGAGEMENT = {
    "kind": "engagement",
    "event_id": "g1",
    "occurred_at": "2026-03-01T00:00:00Z",
    "customer_id": "C-1",
    "status": "clicked",
    "action_id": "A1",
}
BASES: list[dict[str, Any]] = [SCAN, ORDER, COMPLAINT, ENGAGEMENT]
MOMENT = 1772323200000


def lines(*events: Any) -> bytes:
    return b"\n".join(json.dumps(event, ensure_ascii=False).encode() for event in events)


def one_batch(*frames: Frame) -> Any:
    decoder = Decoder(Names())
    found = list(decoder.decode(frames))
    assert len(found) == 1
    return found[0], decoder.names


def reason(line: bytes) -> DeadReason | None:
    _, dead = decode_lines(line, 65_536, None)
    return dead[0].reason if dead else None


# -- What comes out ------------------------------------------------------------------------------------------------


def test_a_scan_becomes_a_row() -> None:
    found, names = one_batch(Frame("e", lines(SCAN)))
    scans = found.batch.scans
    assert found.events == len(scans) == 1
    assert names.unpack(int(scans.key0[0]), int(scans.key1[0])) == "SF1234567890"
    assert scans.occurred[0] == MOMENT
    assert scans.received[0] == MOMENT + 60_000
    assert scans.estimated[0] == parse_time("2026-03-03T00:00:00Z")
    assert scans.status[0] == Status.ARRIVED
    assert scans.delivered_to[0] == DeliveredTo.LOCKER
    assert names.carriers.text(int(scans.carrier[0])) == "sf"
    assert names.sources.text(int(scans.source[0])) == "aftership"
    assert names.facilities.text(int(scans.facility[0])) == "深圳转运中心"
    assert names.regions.text(int(scans.region[0])) == "440300"
    assert names.couriers.text(int(scans.courier[0])) == "c-7"
    assert (float(scans.latitude[0]), float(scans.longitude[0])) == (22.5, 114.0)
    assert int(scans.event[0]) == identity("aftership", "e1")


def test_what_a_scan_does_not_say_is_absent() -> None:
    bare = {
        name: SCAN[name]
        for name in ("kind", "event_id", "occurred_at", "tracking_number", "carrier", "status")
    }
    found, _ = one_batch(Frame("e", lines(bare)))
    scans = found.batch.scans
    assert scans.received[0] == scans.occurred[0]
    assert scans.source[0] == scans.region[0] == scans.facility[0] == scans.courier[0] == 0
    assert scans.estimated[0] == 0
    assert math.isnan(scans.latitude[0])
    assert scans.delivered_to[0] == DeliveredTo.UNKNOWN


def test_a_scan_that_names_its_order_links_the_two_once() -> None:
    named = [
        {**SCAN, "order_id": "O-7"},
        {**SCAN, "event_id": "e2", "order_id": "O-7"},
        SCAN,
        {**SCAN, "tracking_number": "sf lower", "order_id": "订单-8"},
    ]
    expected = [("SF1234567890", "O-7"), ("sf lower", "订单-8")]
    escaped = "\n".join(map(json.dumps, named)).encode()
    arrowed = pl.DataFrame(named, infer_schema_length=None)
    odd = lines({**SCAN, "status": "teleported"})
    for frame in (
        Frame("batch", lines(*named)),
        Frame("batch", escaped),
        Frame("batch", lines(*named) + b"\n" + odd),
        ipc(arrowed),
        ipc(arrowed.with_columns(pl.col("order_id", "tracking_number").cast(pl.Categorical))),
    ):
        found, _ = one_batch(frame)
        assert found.batch.links == expected


def test_orders_complaints_and_engagements_become_structs() -> None:
    found, _ = one_batch(Frame("batch", lines(ORDER, COMPLAINT, ENGAGEMENT)))
    (order,), (complaint,), (engagement,) = (
        found.batch.orders,
        found.batch.complaints,
        found.batch.engagements,
    )
    assert (order.amount, order.currency, order.customer_id) == (1999, "CNY", "C-1")
    assert order.occurred_at == order.received_at == MOMENT
    assert order.promised_at == MOMENT + 4 * DAY
    assert order.contact == {"phone": "13800138000"}
    assert order.tracking_number is None
    assert (complaint.satisfaction, complaint.severity, complaint.text) == (3, "major", "坏了")
    assert complaint.amount is None
    assert (engagement.action_id, engagement.source) == ("A1", "")


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [(19.99, "CNY", 1999), (1500, "JPY", 1500), (1.234, "KWD", 1234), (8.1, "", 810), (0.125, "USD", 12)],
)
def test_money_becomes_minor_units_of_its_currency(amount: float, currency: str, minor: int) -> None:
    event = {**ORDER, "amount": amount, "currency": currency} if currency else {**ORDER, "amount": amount}
    if not currency:
        del event["currency"]
    found, _ = one_batch(Frame("e", lines(event)))
    assert found.batch.orders[0].amount == minor


def test_entries_are_decoded_in_the_streams_order_and_ticks_are_no_events() -> None:
    frames = [
        Frame("e", lines({**ENGAGEMENT, "action_id": "1"})),
        Frame("tick", b"5"),
        Frame("batch", lines({**ENGAGEMENT, "action_id": "2"}, {**ENGAGEMENT, "action_id": "3"}) + b"\n"),
    ]
    found, _ = one_batch(*frames)
    assert [one.action_id for one in found.batch.engagements] == ["1", "2", "3"]


def test_the_words_are_the_contracts() -> None:
    tracking = schema.branch("tracking")["properties"]
    assert set(get_args(wire.StatusWord)) == set(tracking["status"]["enum"]) == set(STATUS)
    assert set(get_args(wire.DeliveredWord)) == set(tracking["delivered_to"]["enum"]) == set(DELIVERED)
    for kind, struct in (
        ("tracking", wire.WireScan),
        ("order", wire.WireOrder),
        ("complaint", wire.WireComplaint),
        ("engagement", wire.WireEngagement),
    ):
        known = {*schema.SCHEMA["properties"], *schema.branch(kind)["properties"]} - {"kind"}
        assert set(struct.__struct_fields__) == known


# -- What is refused, and why --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{", DeadReason.MALFORMED_JSON),
        (b"\xff\xfe", DeadReason.MALFORMED_JSON),
        (lines(SCAN) + b" " + lines(SCAN), DeadReason.MALFORMED_JSON),
        (lines(SCAN).replace(b'"e1"', b'"\xff"'), DeadReason.MALFORMED_JSON),
        (lines(SCAN)[:-1] + b',"deep":' + b"[" * 9000 + b"]" * 9000 + b"}", DeadReason.MALFORMED_JSON),
        (b"[]", DeadReason.NOT_AN_OBJECT),
        (b"17", DeadReason.NOT_AN_OBJECT),
        (b"{}", DeadReason.MISSING_FIELD),
        (lines({**SCAN, "kind": "parcel"}), DeadReason.UNKNOWN_KIND),
        (lines({**SCAN, "status": "teleported"}), DeadReason.UNKNOWN_STATUS),
        (lines({**SCAN, "carrier": None}), DeadReason.WRONG_TYPE),
        (lines({**SCAN, "latitude": "22"}), DeadReason.WRONG_TYPE),
        (lines({**SCAN, "delivered_to": "roof"}), DeadReason.WRONG_TYPE),
        (lines({**SCAN, "extra": []}), DeadReason.WRONG_TYPE),
        (lines({**SCAN, "event_id": ""}), DeadReason.MISSING_FIELD),
        (lines({**SCAN, "tracking_number": ""}), DeadReason.MISSING_FIELD),
        (lines({**SCAN, "tracking_number": "X" * 101}), DeadReason.TOO_LONG),
        (lines({**SCAN, "facility": "仓" * 67}), DeadReason.TOO_LONG),
        (lines({**SCAN, "occurred_at": "2026-03-01T08:00:00"}), DeadReason.BAD_TIME),
        (lines({**SCAN, "estimated_at": "soon"}), DeadReason.BAD_TIME),
        (lines({**SCAN, "occurred_at": "1970-01-01T00:00:00Z"}), DeadReason.TIME_OUT_OF_RANGE),
        (lines({**SCAN, "occurred_at": "2100-01-01T00:00:00Z"}), DeadReason.TIME_OUT_OF_RANGE),
        (lines({**SCAN, "occurred_at": "2026-03-03T00:00:00Z"}), DeadReason.TIME_OUT_OF_RANGE),
        (lines({**SCAN, "latitude": math.nan}), DeadReason.BAD_NUMBER),
        (lines({**SCAN, "zz": math.inf}), DeadReason.BAD_NUMBER),
        (lines({**ORDER, "amount": -1}), DeadReason.BAD_NUMBER),
        (lines({**ORDER, "amount": 1e15}), DeadReason.BAD_NUMBER),
        (lines(ORDER).replace(b"19.99", b"1e999"), DeadReason.BAD_NUMBER),
        (lines({**ORDER, "currency": "yuan"}), DeadReason.WRONG_TYPE),
        (lines({**COMPLAINT, "satisfaction": 2.5}), DeadReason.WRONG_TYPE),
        (lines({**COMPLAINT, "satisfaction": 9}), DeadReason.WRONG_TYPE),
        (lines({**COMPLAINT, "text": "x" * 10_000_000}), DeadReason.TOO_LARGE),
        (lines({**SCAN, "unheard_of": "x" * 10_000_000}), DeadReason.TOO_LARGE),
    ],
)
def test_each_fault_has_its_reason(line: bytes, expected: DeadReason) -> None:
    assert reason(line) == expected
    good, dead = decode_lines(b"\n".join([lines(SCAN), line, lines(ORDER)]), 65_536, None)
    assert [(one.index, one.reason) for one in dead] == [(1, expected)]
    assert good.events == 2


def test_a_reason_never_quotes_a_value() -> None:
    secret = "13800138000"
    values = (secret, {secret: secret}, [secret], secret * 90)
    data = lines(*[{**base, name: value} for base in BASES for name in base for value in values])
    _, dead = decode_lines(data, 65_536, None)
    assert dead
    assert not [one.detail for one in dead if secret in one.detail]


def test_a_receiver_refuses_what_happens_tomorrow() -> None:
    later = {**SCAN, "received_at": "2026-03-05T00:00:00Z", "occurred_at": "2026-03-05T00:00:00Z"}
    good, dead = decode_lines(lines(SCAN, later), 65_536, MOMENT + DAY)
    assert good.events == 1
    assert dead[0].reason == DeadReason.TIME_OUT_OF_RANGE


def test_unknown_properties_change_nothing() -> None:
    plain, _ = one_batch(Frame("e", lines(SCAN)))
    more, _ = one_batch(
        Frame("e", lines({**SCAN, "weight": 3, "nested": {"a": [1, None]}, "extra": {"b": None}}))
    )
    assert more.batch.scans.key0.tolist() == plain.batch.scans.key0.tolist()
    assert not more.dead


def test_an_entry_without_a_field_of_ours_is_a_bad_frame() -> None:
    found, _ = one_batch(Frame("other", b"hello"))
    assert found.dead[0].reason == DeadReason.BAD_FRAME


# -- Against the slow validator ------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["", "x", "paid", "opened", "tracking", "order", "CNY", "cny", "locker", "SF1"]),
    st.sampled_from(
        [
            "2026-03-01T00:00:00Z",
            "2026-03-02T00:00:01Z",
            "2099-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2026-03-01",
        ]
    ),
    st.integers(95, 520).map(lambda length: "y" * length),
    st.integers(60, 70).map(lambda length: "仓" * length),
    st.text(max_size=4),
    st.just({}),
    st.just({"a": 1}),
    st.just([]),
)
NAMES = sorted(
    {name for one in schema.SCHEMA["oneOf"] for name in one["properties"]} | set(schema.SCHEMA["properties"])
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    event = dict(draw(st.sampled_from(BASES)))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        if draw(st.booleans()):
            event.pop(name, None)
        else:
            event[name] = draw(VALUES)
    return event


@given(st.lists(events(), min_size=1, max_size=6))
def test_exactly_the_valid_events_of_a_frame_are_taken(frame: list[dict[str, Any]]) -> None:
    good, dead = decode_lines(lines(*frame), 65_536, None)
    refused = {one.index for one in dead}
    assert refused == {index for index, event in enumerate(frame) if not schema.valid(event)}
    assert good.events == len(frame) - len(refused)


def test_one_event_may_be_written_over_several_lines() -> None:
    written = json.dumps({"note": None, **SCAN}, indent=2, ensure_ascii=False).encode()
    found, _ = one_batch(Frame("e", written))
    assert found.events == 1
    (dead,) = [
        one
        for decoded in Decoder(Names()).decode([Frame("e", b'{\n"kind": "tracking",\n')])
        for one in decoded.dead
    ][:1]
    assert dead.reason == DeadReason.MALFORMED_JSON


@given(st.lists(events(), min_size=1, max_size=3), st.sampled_from([1, 30]))
def test_counting_the_good_ones_agrees_with_decoding_them(frame: list[dict[str, Any]], times: int) -> None:
    data = lines(*frame * times)
    good, dead = decode_lines(data, 65_536, None)
    assert check_lines(data, 65_536, None) == (good.events, dead)


@given(st.lists(events(), min_size=2, max_size=6))
def test_what_a_line_becomes_does_not_depend_on_its_neighbours(frame: list[dict[str, Any]]) -> None:
    together, _ = decode_lines(lines(*frame), 65_536, None)
    alone = [decode_lines(lines(event), 65_536, None)[0] for event in frame]
    assert together.scans.occurred.tolist() == [
        moment for one in alone for moment in one.scans.occurred.tolist()
    ]
    assert list(together.others) == [other for one in alone for other in one.others]


@given(st.lists(st.one_of(events().map(lines), st.binary(max_size=60)), max_size=5))
def test_no_bytes_at_all_break_the_decoder(parts: list[bytes]) -> None:
    data = b"\n".join(parts)
    good, dead = decode_lines(data, 65_536, None)
    assert good.events + len(dead) == sum(1 for line in data.split(b"\n") if line.strip())


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_fuzzed_lines_are_taken_or_dead_never_lost(seed: int, flips: int) -> None:
    rng = random.Random(seed)
    data = bytearray(lines(*BASES))
    for _ in range(flips):
        data[rng.randrange(len(data))] = rng.randrange(256)
    found = list(Decoder(Names()).decode([Frame("batch", bytes(data))]))
    total = sum(one.events + len(one.dead) for one in found)
    assert total == sum(1 for line in bytes(data).split(b"\n") if line.strip())


# -- Sizes ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 30))
def test_a_line_that_is_too_long_is_noticed(lengths: list[int], limit: int) -> None:
    data = b"\n".join(b"x" * length for length in lengths)
    assert longer_line(data, limit) == any(length > limit for length in lengths)


def test_a_great_frame_is_decoded_in_pieces() -> None:
    data = lines(*[{**SCAN, "event_id": str(number), "pad": "x" * 2000} for number in range(3000)])
    assert b"\n".join(pieces(data)) == data
    found = list(Decoder(Names()).decode([Frame("batch", data)]))
    assert len(found) > 1
    assert sum(one.events for one in found) == 3000


# -- Arrow ---------------------------------------------------------------------------------------------------------


def ipc(frame: pl.DataFrame) -> Frame:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    return Frame("arrow", buffer.getvalue())


def columns(*events: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(events), infer_schema_length=None)


def rows(found: list[Any]) -> list[list[Any]]:
    return [
        np.concatenate([getattr(one.batch.scans, name) for one in found]).tolist()
        for name in type(found[0].batch.scans).__slots__
        if name not in {"latitude", "longitude"}
    ]


def test_an_arrow_frame_says_the_same_as_its_lines() -> None:
    events = [
        {**SCAN, "event_id": str(number), "facility": None if number % 3 else "仓"} for number in range(50)
    ]
    frame = columns(*events)
    zoned = frame.with_columns(
        pl.col("occurred_at", "received_at", "estimated_at").str.to_datetime(time_unit="us", time_zone="UTC"),
        pl.col("carrier", "status", "kind", "facility").cast(pl.Categorical),
    )
    plain = [{name: value for name, value in event.items() if value is not None} for event in events]
    expected = rows(list(Decoder(Names()).decode([Frame("batch", lines(*plain))])))
    for one in (frame, zoned):
        found = list(Decoder(Names()).decode([ipc(one)]))
        assert not [dead for batch in found for dead in batch.dead]
        assert rows(found) == expected


def test_an_arrow_frame_with_a_fault_loses_only_that_row() -> None:
    faults: list[tuple[dict[str, Any], DeadReason]] = [
        ({"status": "teleported"}, DeadReason.UNKNOWN_STATUS),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, DeadReason.TIME_OUT_OF_RANGE),
        ({"event_id": None}, DeadReason.MISSING_FIELD),
        ({"tracking_number": "x" * 101}, DeadReason.TOO_LONG),
        ({"kind": "parcel"}, DeadReason.UNKNOWN_KIND),
    ]
    for fault, expected in faults:
        found = list(Decoder(Names()).decode([ipc(columns(SCAN, {**SCAN, **fault}, SCAN))]))
        assert [dead.reason for one in found for dead in one.dead] == [expected]
        assert sum(one.events for one in found) == 2


def test_other_kinds_travel_in_arrow_frames_too() -> None:
    event = {name: value for name, value in ORDER.items() if name != "extra"}
    found = list(Decoder(Names()).decode([ipc(pl.concat([columns(SCAN), columns(event)], how="diagonal"))]))
    assert sum(len(one.batch.orders) for one in found) == 1
    assert sum(len(one.batch.scans) for one in found) == 1
    assert [one.batch.orders[0].contact for one in found if one.batch.orders] == [{"phone": "13800138000"}]


@pytest.mark.parametrize("cut", [0, 10, 300, 2000])
def test_a_damaged_arrow_frame_is_one_dead_letter(cut: int) -> None:
    data = ipc(columns(*[SCAN] * 20)).data[:cut] if cut else b""
    found = list(Decoder(Names()).decode([Frame("arrow", data), Frame("e", lines(SCAN))]))
    assert [dead.reason for one in found for dead in one.dead] == [DeadReason.BAD_FRAME]
    assert sum(one.events for one in found) == 1


@given(st.integers(0, 2**32))
def test_flipped_bytes_in_an_arrow_frame_never_break_the_decoder(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(ipc(columns(*[SCAN] * 5)).data)
    for _ in range(3):
        data[rng.randrange(len(data))] = rng.randrange(256)
    list(Decoder(Names()).decode([Frame("arrow", bytes(data))]))


def test_a_currency_that_is_none_is_told_how_to_write_it() -> None:
    _, (letter,) = decode_lines(lines({**ORDER, "currency": "cny"}), 65_536, None)
    assert letter.detail == "currency: three capital letters, as CNY"
