"""Taking texts from the line itself says what the library says of every line, or leaves the line to it."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.checked import Checked, check_all
from monitor.decode import _one_by_one, decode_lines
from monitor.linerows import PRESENCE
from monitor.names import Names
from monitor.skim import skim
from monitor.wire import NOT_DECODED
from tests.stream.test_decode import BASES, ORDER, SCAN, events

PAIRS = ((",", ":"), (", ", ": "), (" ,\t", " :\t"))


def exactly(data: bytes, latest: int | None = None) -> tuple[Checked | None, bool]:
    """Line by line: what is good, and whether all is."""
    found, dead = _one_by_one(data, 65_536, latest)
    return check_all(found, latest), not dead


def columns(checked: Checked, names: Names | None = None) -> list[Any]:
    """All that a batch holds of it, with names instead of codes."""
    names = names or Names()
    batch = checked.batch(names)
    scans = batch.scans
    interners = {
        "carrier": names.carriers,
        "source": names.sources,
        "region": names.regions,
        "facility": names.facilities,
        "courier": names.couriers,
    }
    rows: list[Any] = []
    for name in type(scans).__slots__:
        values = getattr(scans, name).tolist()
        if name in interners:
            values = [interners[name].text(code) for code in values]
        rows.append([None if value != value else value for value in values])  # noqa: PLR0124
    texts = [names.unpack(int(first), int(second)) for first, second in zip(*rows[:2], strict=True)]
    return [
        *rows,
        texts,
        batch.links,
        list(checked.others),
        checked.occurred.tolist(),
        checked.received.tolist(),
    ]


def agrees(data: bytes) -> bool:
    """Whether it was taken at once; if so, exactly as line by line."""
    try:
        skimmed = skim(data, None)
    except NOT_DECODED:
        return False
    if skimmed is None:
        return False
    expected, good = exactly(data)
    assert good
    assert expected is not None
    wanted = columns(expected)
    assert columns(skimmed) == wanted
    names = Names()
    for _ in range(2):  # names that are new, and names that are known
        again = skim(data, None, names)
        assert again is not None
        assert columns(again, names) == wanted
    return True


@st.composite
def spellings(draw: st.DrawFn) -> bytes:
    """One event as some sender may write it."""
    event = draw(events())
    if draw(st.booleans()):
        event["more"] = draw(
            st.sampled_from([1, "x", None, [], {"event_id": "y"}, {"a": [{"b": '"}'}]}, 'q"uo\\te'])
        )
    items = list(event.items())
    if draw(st.booleans()):
        items = draw(st.permutations(items))
    if draw(st.integers(0, 9)) == 0 and items:
        items.append(draw(st.sampled_from(items)))  # the same name twice
    comma, colon = draw(st.sampled_from(PAIRS))
    ascii_ = draw(st.booleans())
    members = comma.join(
        f"{json.dumps(name, ensure_ascii=ascii_)}{colon}{json.dumps(value, ensure_ascii=ascii_)}"
        for name, value in items
    )
    space = draw(st.sampled_from(["", " ", "\t", "\r"]))
    return f"{space}{{{space}{members}{space}}}{space}".encode()


TEXTS = [name for name, value in SCAN.items() if isinstance(value, str) and name not in {"kind", "status"}]


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Lines of one sender: the same names in the same order, of which some are left out now and then."""
    names = draw(st.permutations([*SCAN, "order_id", "status_raw", "weight"]))
    base = {**SCAN, "order_id": "O-1", "status_raw": "301", "weight": 1.5}
    if draw(st.booleans()):
        del base["latitude"], base["longitude"]
    texts = st.text('ab1-"\\仓\n', max_size=40)
    found = []
    for _ in range(draw(st.integers(1, 8))):
        event = {name: base[name] for name in names if name in base}
        for name in draw(st.lists(st.sampled_from(TEXTS), max_size=3, unique=True)):
            event[name] = draw(texts) if not name.endswith("_at") else draw(st.sampled_from(MOMENTS))
        for name in draw(
            st.lists(st.sampled_from(["facility", "region", "received_at", "weight"]), max_size=1)
        ):
            event.pop(name, None)
        found.append(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
    return found


MOMENTS = [
    "2026-03-01T00:01:00Z",
    "2026-03-01T00:01:59.999Z",
    "2026-03-01T00:01:60Z",
    "2026-03-01T08:01:00.1234+08:00",
    "2099-12-31T23:59:60Z",
    "1999-12-31T23:59:59Z",
    "2026-03-01",
    "",
]


@given(alike())
def test_lines_that_look_alike_are_read_as_if_each_were_the_only_one(frame: list[bytes]) -> None:
    agrees(b"\n".join(frame))


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_bytes_that_flipped_where_all_lines_look_alike(seed: int, flips: int) -> None:
    rng = random.Random(seed)
    event = {name: value for name, value in SCAN.items() if rng.random() < 0.9 or name == "kind"}
    line = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    data = bytearray(b"\n".join([line] * 6))
    for _ in range(flips):
        data[rng.randrange(len(data))] = rng.choice(b'"\\{}[],:\n 0aZ\x00\xc3')
    agrees(bytes(data))


@given(alike())
def test_while_the_pass_is_not_there_lines_become_the_same(frame: list[bytes]) -> None:
    data = b"\n".join(frame)
    good, dead = decode_lines(data, 65_536, None)
    with PRESENCE.away():
        fully, lost = decode_lines(data, 65_536, None)
    assert columns(fully) == columns(good)
    assert lost == dead


@given(st.lists(spellings(), min_size=1, max_size=5))
def test_whatever_the_spelling_it_says_the_same_or_nothing(frame: list[bytes]) -> None:
    agrees(b"\n".join(frame))


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_bytes_that_flipped_are_read_as_the_library_reads_them(seed: int, flips: int) -> None:
    rng = random.Random(seed)
    data = bytearray(b"\n".join(json.dumps(base, ensure_ascii=rng.random() < 0.5).encode() for base in BASES))
    marks = b'"\\{}[],:\n 0aZ\x00\xc3'
    for _ in range(flips):
        data[rng.randrange(len(data))] = rng.choice(marks)
    agrees(bytes(data))


@pytest.mark.parametrize("separators", PAIRS)
@pytest.mark.parametrize("ascii_", [True, False])
def test_what_senders_usually_write_is_taken_at_once(separators: tuple[str, str], ascii_: bool) -> None:
    frame = [
        SCAN,
        {**SCAN, "facility": 'a "b" \\ c', "latitude": None},
        {**SCAN, "event_id": "e2", "extra": {"kind": "x", "event_id": ["}"]}, "status_raw": "301"},
        ORDER,
        {**dict(reversed(SCAN.items())), "weight": 1.5, "order_id": "O-1"},
        {name: SCAN[name] for name in ("tracking_number", "kind", "carrier", "status", "event_id")}
        | {"occurred_at": "2026-03-01T08:00:00.123+08:00", "region": ""},
    ]
    del frame[1]["latitude"]
    data = b"\n".join(json.dumps(one, separators=separators, ensure_ascii=ascii_).encode() for one in frame)
    assert agrees(data)
    assert agrees(data.replace(b"\n", b"\r\n"))
    assert agrees(b"\n\n" + data + b"\n \n")


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(SCAN) + json.dumps(SCAN),
        json.dumps(SCAN).replace(', "', ',\n"', 1),
        json.dumps({**SCAN, "extra": {"a": 1}}).replace('{"a": 1', '{"a":\n1'),
        json.dumps({**SCAN, "more": [1, 2]}).replace("[1, 2]", "[1,\n2]"),
        json.dumps(SCAN).replace('"status"', '"st\\u0061tus"'),
        json.dumps(SCAN)[:-1] + ', "event_id": "again"}',
        json.dumps(SCAN)[:-1] + ', "kind": "tracking"}',
        json.dumps({**SCAN, "kind": "x"}).replace('"x"', '"track\\u0069ng"'),
        json.dumps({**SCAN, "event_id": "\u4ed3" * 171}, ensure_ascii=True),
        json.dumps({**SCAN, "status": ""}),
        json.dumps({**SCAN, "delivered_to": ""}),
        json.dumps({**SCAN, "region": "x" * 201}),
        json.dumps({**SCAN, "order_id": 7}),
        json.dumps({**SCAN, "extra": "x"}),
    ],
)
def test_what_is_not_plain_is_left_to_the_closer_look(line: str) -> None:
    assert not agrees(line.encode())


def test_two_values_on_one_line_and_one_over_two_do_not_make_up_for_each_other() -> None:
    one = json.dumps(SCAN)
    data = f"{one}{one}\n{one[:-1]}\n}}".encode()
    assert skim(data, None) is None


def test_text_that_is_no_utf8_is_found_where_nobody_keeps_it() -> None:
    data = json.dumps({**SCAN, "more": "?"}).encode().replace(b'"?"', b'"\xff"')
    with pytest.raises(UnicodeDecodeError):
        skim(data, None)


def test_a_receiver_refuses_what_happens_tomorrow() -> None:
    data = json.dumps(SCAN).encode()
    checked = skim(data, None)
    assert checked is not None
    latest = int(checked.batch(Names()).scans.received[0])
    assert skim(data, latest) is not None
    assert skim(data, latest - 1) is None


def test_every_row_may_have_every_text_escaped() -> None:
    escaped = {name: value for name, value in SCAN.items() if isinstance(value, str) and name != "kind"}
    line = json.dumps({"kind": "tracking"})[:-1]
    for name, value in escaped.items():
        spelled = "".join(f"\\u{ord(character):04x}" for character in value)
        line += f', "{name}": "{spelled}"'
    data = "\n".join([line + "}"] * 50).encode()
    assert agrees(data)


def test_nothing_is_nothing() -> None:
    checked = skim(b"", None)
    assert checked is not None
    assert checked.events == 0
    assert np.array_equal(checked.batch(Names()).scans.key0, np.empty(0, np.uint64))
