"""Whatever a provider sends, a feed answers with events and dead letters, never with an exception."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.feeds.base import Parsed, Push, Unreadable
from monitor.feeds.registry import FEEDS
from monitor.vocabulary import DeadReason
from tests.feeds.cases import NOW, feed, payloads

ALL = {kind: feed(kind) for kind in sorted(FEEDS)}
PAYLOADS = {
    kind: [json.loads(path.read_text(encoding="utf-8")) for path in payloads(kind)] for kind in sorted(FEEDS)
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def parse(kind: str, pushed: Push) -> Parsed | None:
    try:
        parsed = ALL[kind].parse(pushed)
    except Unreadable as error:
        assert error.reason in DeadReason  # noqa: PT017 - both ways out are good ones
        return None
    for event in parsed.events:
        msgspec.json.encode(event)
        assert event["event_id"]
    return parsed


@pytest.mark.parametrize("kind", sorted(FEEDS))
@given(raw=st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes(kind: str, raw: bytes) -> None:
    parse(kind, Push(raw, {}, {}, NOW))


@pytest.mark.parametrize("kind", sorted(FEEDS))
@given(body=JSON)
@settings(max_examples=60)
def test_any_json(kind: str, body: Any) -> None:
    parse(kind, ALL[kind].sign(json.dumps(body).encode(), NOW))


@pytest.mark.parametrize("kind", sorted(FEEDS))
@given(data=st.data())
@settings(max_examples=150)
def test_a_payload_with_anything_anywhere(kind: str, data: st.DataObject) -> None:
    """A real payload in which some values are replaced by anything at all."""
    said = data.draw(st.sampled_from(PAYLOADS[kind]))
    body = json.loads(json.dumps(said["body"]))
    for _ in range(data.draw(st.integers(1, 3))):
        body = _spoil(body, data)
    headers = data.draw(st.sampled_from([{}, said.get("headers", {})]))
    query = data.draw(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2))
    parse(kind, ALL[kind].sign(json.dumps(body).encode(), NOW, headers, query))


def _spoil(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: _spoil(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], _spoil(value[at], data), *value[at + 1 :]]
    return data.draw(JSON)


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_a_body_of_ten_thousand_brackets_is_unreadable(kind: str) -> None:
    assert parse(kind, ALL[kind].sign(b"[" * 10_000, NOW)) is None
