"""Who may push: right signatures pass, everything else is refused, and a feed without a secret does not start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.plugins import FeedSettings
from config.regions import regions
from monitor.feeds.base import Outcome, Push, Refusal, Rejected
from monitor.feeds.registry import FEEDS, FeedConfigError, build, build_all
from tests.feeds.cases import NOW, OPTIONS, SECRET, feed, payloads, push

KINDS = sorted(FEEDS)
FACTS = Path(__file__).parent.parent / "golden" / "easypost_signature.body"


def good(kind: str) -> Push:
    return push(feed(kind), payloads(kind)[0])


def refusal(kind: str, pushed: Push) -> Refusal:
    with pytest.raises(Rejected) as caught:
        feed(kind).verify(pushed)
    return caught.value.reason


def test_easypost_s_official_vector_verifies() -> None:
    """MIT, github EasyPost/examples: secret sécret, whatever way the é was typed."""
    body = FACTS.read_bytes()
    digest = "38f3f53c103713df81616a0a186d77141957323ec21d5fe9363db93840f527db"
    pushed = Push(body, {"x-hmac-signature": f"hmac-sha256-hex={digest}"}, {}, NOW)
    for secret in ("s\u00e9cret", "se\u0301cret"):
        one = feed("easypost", secret=secret)
        one.verify(pushed)
        with pytest.raises(Rejected):
            one.verify(replace(pushed, raw=body + b"\n"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_signature_passes(kind: str) -> None:
    feed(kind).verify(good(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_signature_of_another_secret_is_wrong(kind: str) -> None:
    other = feed(kind, secret="another-secret")
    assert refusal(kind, push(other, payloads(kind)[0])) is Refusal.WRONG


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_without_any_signature_is_refused(kind: str) -> None:
    body = b"param=%7B%7D&RequestData=%7B%7D" if kind in {"kuaidi100", "kdniao"} else b"{}"
    assert refusal(kind, Push(body, {}, {}, NOW)) is Refusal.MISSING
    assert refusal(kind, Push(b"", {}, {}, NOW)) is Refusal.MISSING


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_signature_is_a_missing_one(kind: str) -> None:
    pushed = good(kind)
    headers = dict.fromkeys(pushed.headers, "")
    query = dict.fromkeys(pushed.query, "")
    raw = (
        b"sign=&DataSign=&param=%7B%7D&RequestData=%7B%7D" if kind in {"kuaidi100", "kdniao"} else pushed.raw
    )
    assert refusal(kind, Push(raw, headers, query, NOW)) is Refusal.MISSING


# These carry the secret itself: the body is as good as the transport (docs/feeds.md says so).
IN_CLEAR = {"gorgias", "shippo"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in IN_CLEAR])
@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_one_changed_byte_of_the_body_is_noticed(kind: str, where: float) -> None:
    pushed = good(kind)
    at = int(len(pushed.raw) * where)
    changed = b"0" if pushed.raw[at : at + 1] != b"0" else b"1"
    raw = pushed.raw[:at] + changed + pushed.raw[at + 1 :]
    assert refusal(kind, replace(pushed, raw=raw)) in {Refusal.WRONG, Refusal.MISSING}


def test_shippo_signs_the_body_when_told_to() -> None:
    one = feed("shippo", signed=True)
    pushed = push(one, payloads("shippo")[0])
    one.verify(pushed)
    with pytest.raises(Rejected):
        one.verify(replace(pushed, raw=pushed.raw + b" "))
    with pytest.raises(Rejected):
        one.verify(replace(pushed, headers={}, query={"token": SECRET}))


@pytest.mark.parametrize(
    ("kind", "more"), [("shippo", {"signed": True}), ("zendesk", {}), ("wechat_shop", {})]
)
@pytest.mark.parametrize("ago", [3_600_000, -3_600_000])
def test_a_signature_of_another_hour_is_a_replay(kind: str, more: dict[str, bool], ago: int) -> None:
    """Also of an hour to come: it would be good for two hours."""
    one = feed(kind, **more)
    pushed = push(one, payloads(kind)[0])
    with pytest.raises(Rejected) as caught:
        one.verify(replace(pushed, received_at=NOW + ago))
    assert caught.value.reason is Refusal.STALE


def test_karrio_s_secret_in_clear_is_accepted_as_its_code_sends_it() -> None:
    one = feed("karrio")
    one.verify(Push(b"{}", {"x-event-id": SECRET}, {}, NOW))
    with pytest.raises(Rejected):
        one.verify(Push(b"{}", {"x-event-id": SECRET, "x-karrio-signature": "sha256=00"}, {}, NOW))


def test_wechat_s_plain_mode_must_be_chosen() -> None:
    plain = feed("wechat_shop", aes_key=None, plain=True)
    pushed = push(plain, payloads("wechat_shop")[0])
    plain.verify(pushed)
    with pytest.raises(Rejected):
        feed("wechat_shop").verify(pushed)
    hello = plain.hello({**pushed.query, "echostr": "42"})
    assert hello is not None
    assert (hello.status, hello.body) == (200, b"42")


def test_woocommerce_s_ping_is_answered_and_brings_nothing() -> None:
    one = feed("woocommerce")
    ping = Push(b"webhook_id=12", {}, {}, NOW)
    one.verify(ping)
    assert one.parse(ping).events == []
    assert refusal("woocommerce", Push(b"webhook_id=12&x=1", {}, {}, NOW)) is Refusal.MISSING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secret", ["", "   "])
def test_an_empty_secret_stops_the_start(kind: str, secret: str) -> None:
    section = FeedSettings.model_validate({**OPTIONS[kind], "type": kind, "secret": secret})
    with pytest.raises(FeedConfigError) as caught:
        build("shop", section, regions())
    assert caught.value.problems == ["feeds.shop.secret: is empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_stops_the_start_and_no_problem_shows_a_value(kind: str) -> None:
    section = FeedSettings.model_validate({**OPTIONS[kind], "type": kind, "swordfish": "pa55"})
    with pytest.raises(FeedConfigError) as caught:
        build("shop", section, regions())
    assert "feeds.shop.secret: is missing" in caught.value.problems
    assert "feeds.shop.swordfish: no such key" in caught.value.problems
    assert "pa55" not in str(caught.value)
    assert "pa55" not in repr(section)


def test_every_problem_of_every_feed_is_told_at_once() -> None:
    sections = {
        "one": FeedSettings.model_validate({"type": "easypost"}),
        "two": FeedSettings.model_validate({"type": "fedex"}),
        "three": FeedSettings.model_validate({"type": "wechat_shop", "secret": "x", "aes_key": "short"}),
        "four": FeedSettings.model_validate({"type": "aftership", "secret": "x", "timezone": "Mars/Olympus"}),
    }
    with pytest.raises(FeedConfigError) as caught:
        build_all(sections, regions())
    assert [line.split(":")[0] for line in caught.value.problems] == [
        "feeds.one.secret",
        "no feed 'fedex'; there are",
        "feeds.three",
        "feeds.four.timezone",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_tells_the_provider_what_it_must_know(kind: str) -> None:
    one = feed(kind)
    pushed = good(kind)
    assert one.reply(Outcome.ACCEPTED, pushed).status == 200
    assert one.reply(Outcome.REJECTED, pushed).status == 401
    assert one.reply(Outcome.BUSY, pushed).status == 503
    assert SECRET.encode() not in one.reply(Outcome.REJECTED, pushed).body


def test_chinese_providers_get_their_own_form_of_answer() -> None:
    assert (
        b'"result":true,"returnCode":"200"'
        in feed("kuaidi100").reply(Outcome.ACCEPTED, good("kuaidi100")).body
    )
    assert b'"EBusinessID":"1500001"' in feed("kdniao").reply(Outcome.ACCEPTED, good("kdniao")).body
    assert feed("wechat_shop").reply(Outcome.ACCEPTED, good("wechat_shop")).body == b"success"
