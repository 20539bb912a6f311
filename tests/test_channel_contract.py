"""Every channel and coupon provider of the registry, on real HTTP: a new one is tested by being registered."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from notifier import registry
from notifier.channels.console import ConsoleChannel, ConsoleOptions
from notifier.http import Http
from notifier.parts import MOST, split
from notifier.sending import (
    Answer,
    Cause,
    Channel,
    CouponProvider,
    CouponsUnavailableError,
    SendResult,
    Splitting,
)
from tests.channels.case import (
    COUPON,
    CUSTOMER,
    HOSTILE,
    LONG,
    LONG_LINES,
    NOW,
    OPS,
    PERSONAL,
    ChannelCase,
    CouponCase,
    messages,
)
from tests.fakes.server import FakeServer, Fault, Request, Response

GOLDEN = Path(__file__).parent / "golden" / "channels"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
STATUSES = {
    **dict.fromkeys((301, 302, 307, 308), (Answer.RETRY, Cause.AUTH)),
    303: (Answer.AMBIGUOUS, Cause.LOST_REPLY),
    **dict.fromkeys((400, 402, 404, 405, 406, 415, 418, 451), (Answer.PERMANENT, Cause.REJECTED)),
    **dict.fromkeys((401, 403), (Answer.RETRY, Cause.AUTH)),
    **dict.fromkeys((408, 503), (Answer.RETRY, Cause.SERVER)),
    **dict.fromkeys((413, 431), (Answer.PERMANENT, Cause.TOO_LARGE)),
    **dict.fromkeys((425, 429), (Answer.RETRY, Cause.RATE)),
    **dict.fromkeys((500, 502, 504, 520), (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
}
AMBIGUOUS = [
    Fault.HANG,
    Fault.RESET,
    Fault.LOST_REPLY,
    Fault.LOST_REPLY_HANG,
    Fault.HALF_BODY,
    Fault.DRIP,
    Fault.GARBAGE,
]


def channel_case(name: str) -> ChannelCase:
    case: ChannelCase = importlib.import_module(f"tests.channels.{name}").CASE
    return case


def coupon_case(name: str) -> CouponCase:
    case: CouponCase = importlib.import_module(f"tests.channels.coupons_{name}").CASE
    return case


CHANNELS = sorted(registry.CHANNELS)
OVER_HTTP = [name for name in CHANNELS if channel_case(name).http]
COUPONS = sorted(registry.COUPONS)
both = pytest.mark.parametrize(
    ("kind", "name"), [("channel", name) for name in OVER_HTTP] + [("coupons", name) for name in COUPONS]
)


def http(deadline: float = 10) -> Http:
    return Http(connect=5, deadline=deadline)


def build(kind: str, name: str, url: str, client: Http) -> tuple[ChannelCase | CouponCase, Any]:
    if kind == "channel":
        case = channel_case(name)
        return case, registry.channel(name, case.options(url), client)
    coupons = coupon_case(name)
    return coupons, registry.coupons(name, coupons.options(url), client)


async def send(kind: str, plugin: Any) -> SendResult:
    if kind == "coupons":
        provider: CouponProvider = plugin
        return await provider.issue(COUPON, NOW)
    channel: Channel = plugin
    audience = channel_case(channel.name).audience
    return await channel.send(CUSTOMER if audience == "customer" else OPS, NOW)


async def attempt(kind: str, name: str, *script: Fault | Response) -> tuple[SendResult, list[Request]]:
    hangs = any(isinstance(step, Fault) for step in script)
    async with http(0.5 if hangs else 10) as client:
        case = channel_case(name) if kind == "channel" else coupon_case(name)
        async with FakeServer(case.fake()) as server:
            _, plugin = build(kind, name, server.url, client)
            if isinstance(case, ChannelCase) and case.warm:
                await send(kind, plugin)
                server.requests.clear()
            server.script.extend(script)
            result = await send(kind, plugin)
            assert not leaks(case, repr(result))
            return result, server.requests


def leaks(case: ChannelCase | CouponCase, text: str) -> list[str]:
    return [secret for secret in (*case.secrets, *PERSONAL) if secret in text]


@both
def test_a_good_provider_takes_what_is_sent(kind: str, name: str) -> None:
    result, requests = asyncio.run(attempt(kind, name))
    assert result.answer is Answer.DONE, result
    assert requests


@both
@pytest.mark.parametrize("status", sorted(STATUSES))
def test_every_status_has_its_class(kind: str, name: str, status: int) -> None:
    case = channel_case(name) if kind == "channel" else coupon_case(name)
    expected = case.statuses.get(status, STATUSES[status])
    reply = Response(status, b"<html>no</html>", {"location": "http://127.0.0.1:1/elsewhere"})
    result, requests = asyncio.run(attempt(kind, name, reply))
    assert (result.answer, result.cause) == expected
    assert len(requests) == 1, "a redirect is not followed, and a channel sends once"


@both
def test_the_wait_a_provider_asks_for_is_handed_on(kind: str, name: str) -> None:
    result, _ = asyncio.run(attempt(kind, name, Response(429, b"", {"retry-after": "37"})))
    assert (result.answer, result.retry_after) == (Answer.RETRY, 37.0)


@both
@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_a_lost_reply_is_neither_done_nor_failed(kind: str, name: str, fault: Fault) -> None:
    result, _ = asyncio.run(attempt(kind, name, fault))
    assert (result.answer, result.cause) == (Answer.AMBIGUOUS, Cause.LOST_REPLY)


@both
def test_what_never_connected_is_tried_again(kind: str, name: str) -> None:
    async def run() -> SendResult:
        async with http() as client:
            _, plugin = build(kind, name, "http://127.0.0.1:1", client)
            return await send(kind, plugin)

    result = asyncio.run(run())
    assert (result.answer, result.cause) == (Answer.RETRY, Cause.NETWORK)


@pytest.mark.parametrize(
    ("kind", "name", "index"),
    [("channel", name, index) for name in OVER_HTTP for index in range(len(channel_case(name).faults))]
    + [("coupons", name, index) for name in COUPONS for index in range(len(coupon_case(name).faults))],
)
def test_the_providers_own_errors_are_understood(kind: str, name: str, index: int) -> None:
    case = channel_case(name) if kind == "channel" else coupon_case(name)
    fault = case.faults[index]
    result, _ = asyncio.run(attempt(kind, name, fault.reply))
    assert (result.answer, result.cause) == (fault.answer, fault.cause), fault.name
    if fault.retry_after is not None:
        assert result.retry_after == fault.retry_after


@both
def test_no_secret_shows(kind: str, name: str) -> None:
    case = channel_case(name) if kind == "channel" else coupon_case(name)
    options = dict(case.options("http://127.0.0.1:9"))
    table = registry.CHANNELS if kind == "channel" else registry.COUPONS
    config = registry.load(table, name).Config
    assert not leaks(
        case, repr(config.model_validate(options)) + config.model_validate(options).model_dump_json()
    )
    with pytest.raises(ValidationError) as caught:
        config.model_validate({**options, "no_such_option": 1})
    assert not leaks(case, str(caught.value))
    assert not leaks(case, repr(OPS) + repr(CUSTOMER) + repr(COUPON))


@both
def test_an_empty_secret_is_refused(kind: str, name: str) -> None:
    table = registry.CHANNELS if kind == "channel" else registry.COUPONS
    case = channel_case(name) if kind == "channel" else coupon_case(name)
    options = dict(case.options("http://127.0.0.1:9"))
    config = registry.load(table, name).Config
    secret = [
        field
        for field, info in config.model_fields.items()
        if "Secret" in str(info.annotation) and field in options
    ]
    assert secret, "a channel has at least one secret"
    for field in secret:
        with pytest.raises(ValidationError):
            config.model_validate({**options, field: "  "})


def written(request: Request) -> dict[str, Any]:
    hidden = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}
    try:
        body: Any = request.json()
    except ValueError:
        body = request.body.decode("utf-8", "replace")
    headers = {name: value for name, value in request.headers.items() if name not in hidden}
    return {"method": request.method, "target": request.target, "headers": headers, "body": body}


def compare(path: Path, requests: list[Request], url: str) -> None:
    text = json.dumps([written(request) for request in requests], ensure_ascii=False, indent=1).replace(
        url, "URL"
    )
    text = text.replace(url.removeprefix("http://"), "HOST") + "\n"
    text = re.sub(
        r"Signature=[0-9a-f]{64}", "Signature=OVER-THE-HOST", text
    )  # its port differs; the fake checks it
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no golden request: run once with UPDATE_GOLDEN=1 and read {path.name}"
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OVER_HTTP)
def test_the_request_is_the_golden_one_and_the_fake_accepts_it(name: str) -> None:
    async def run(message_name: str) -> None:
        case = channel_case(name)
        async with http() as client, FakeServer(case.fake()) as server:
            channel = registry.channel(name, case.options(server.url), client)
            result = await channel.send(messages(case)[message_name], NOW)
            assert result.answer is Answer.DONE, result
            compare(GOLDEN / name / f"{message_name}.json", server.requests, server.url)

    assert messages(channel_case(name))
    for message_name in messages(channel_case(name)):
        asyncio.run(run(message_name))


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_message_beyond_every_limit_is_cut_or_refused_never_sent_too_large(name: str) -> None:
    async def run() -> None:
        case = channel_case(name)
        base = CUSTOMER if case.audience == "customer" else OPS
        huge = replace(
            base, body="长" * 600_000, title="题" * 5_000, fields=(("n" * 900, "v" * 9_000),) * 120
        )
        async with http() as client, FakeServer(case.fake()) as server:
            channel = registry.channel(name, case.options(server.url), client)
            result = await channel.send(huge, NOW)
            assert (result.answer, result.cause) in {
                (Answer.DONE, Cause.NONE),
                (Answer.PERMANENT, Cause.TOO_LARGE),
            }, result
            assert all(len(request.body) <= channel.limits.body_bytes for request in server.requests)

    asyncio.run(run())


SPLITTING = [
    name
    for name in OVER_HTTP
    if isinstance(registry.channel(name, channel_case(name).options("http://127.0.0.1:9"), http()), Splitting)
]


def test_every_chat_with_a_size_splits() -> None:
    assert set(SPLITTING) == {
        "dingtalk",
        "discord",
        "feishu",
        "mattermost",
        "slack",
        "slack_bot",
        "teams",
        "telegram",
        "wecom",
    }


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("base", ["long", "hostile"])
def test_what_is_too_long_goes_as_several_and_every_line_arrives_once(name: str, base: str) -> None:
    """Each part as the provider takes it; the marks of numbers, bold and names survive the splitting."""

    async def run() -> None:
        case = channel_case(name)
        async with http() as client, FakeServer(case.fake()) as server:
            channel = registry.channel(name, case.options(server.url), client)
            assert isinstance(channel, Splitting)
            lines = (
                LONG_LINES
                if base == "long"
                else (f"- {n} {HOSTILE.body}"[:200].replace("\n", " ") for n in range(200))
            )
            whole = replace(LONG, body="\n".join(lines))
            parts = split(whole, channel.fits, most=40)
            assert 1 < len(parts) < 40
            assert [part.title for part in parts] == [
                f"({n}/{len(parts)}) {LONG.title}" for n in range(1, len(parts) + 1)
            ]
            assert len({part.key for part in parts}) == len(parts)
            said = [row for part in parts for row in part.body.splitlines() if row.startswith("- ")]
            assert said == whole.body.splitlines()
            fields = [
                *parts[0].fields,
                *(row for part in parts for row in part.body.splitlines() if row.startswith("**字段")),
            ]
            assert len(fields) == len(LONG.fields)
            for part in parts:
                assert channel.fits(part)
                result = await channel.send(part, NOW)
                assert result.answer is Answer.DONE, result
            sent = b"".join(request.body for request in server.requests)
            assert b"see the console" not in sent
            assert "见控制台".encode() not in sent
            assert all(len(request.body) <= channel.limits.body_bytes for request in server.requests)

    asyncio.run(run())


@pytest.mark.parametrize("name", SPLITTING)
def test_a_book_is_a_bounded_number_of_messages_and_says_how_much_is_left_out(name: str) -> None:
    async def run() -> None:
        case = channel_case(name)
        book = replace(LONG, body="\n".join(f"- {n} " + "长" * 60 for n in range(5_000)))
        async with http() as client, FakeServer(case.fake()) as server:
            channel = registry.channel(name, case.options(server.url), client)
            assert isinstance(channel, Splitting)
            parts = split(book, channel.fits)
            assert len(parts) == MOST
            for part in parts:
                assert (await channel.send(part, NOW)).answer is Answer.DONE
            assert "见控制台" in server.requests[-1].body.decode()
            assert not any("见控制台" in request.body.decode() for request in server.requests[:-1])

    asyncio.run(run())


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - {"console", "smtp"}))
def test_a_channel_that_shows_pictures_has_a_golden_request_with_one(name: str) -> None:
    case = channel_case(name)
    can = registry.channel(name, case.options("http://127.0.0.1:9"), http()).capabilities
    shown = [one for one in case.extra.values() if one.image or one.image_url]
    assert bool(shown) == (can.image or can.image_url)


@pytest.mark.parametrize("name", CHANNELS)
def test_the_channel_says_its_name(name: str) -> None:
    case = channel_case(name)
    plugin = registry.load(registry.CHANNELS, name)
    assert plugin.name == name
    assert case.options("http://127.0.0.1:9") is not None


def test_the_console_prints_no_recipient(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(ConsoleChannel(ConsoleOptions()).send(CUSTOMER, NOW)).answer is Answer.DONE
    printed = capsys.readouterr().out
    assert CUSTOMER.body in printed
    assert not any(personal in printed for personal in PERSONAL)


@pytest.mark.parametrize("name", COUPONS)
def test_a_coupon_asked_for_twice_is_one_coupon(name: str) -> None:
    async def run() -> None:
        case = coupon_case(name)
        async with http() as client, FakeServer(case.fake()) as server:
            provider = registry.coupons(name, case.options(server.url), client)
            first, second = await provider.issue(COUPON, NOW), await provider.issue(COUPON, NOW)
            assert (first.answer, second.answer) == (Answer.DONE, Answer.DONE)
            assert await provider.find(COUPON.code, NOW) is True
            assert await provider.find("SRY000000000000", NOW) is False
            assert [code async for code in provider.codes("SRY", NOW)] == [COUPON.code]
            compare(GOLDEN / f"coupons_{name}" / "issue.json", server.requests, server.url)

    asyncio.run(run())


@pytest.mark.parametrize("name", COUPONS)
def test_a_code_that_is_not_ours_is_a_conflict(name: str) -> None:
    async def run() -> SendResult:
        case = coupon_case(name)
        async with http() as client, FakeServer(case.taken()) as server:
            return await registry.coupons(name, case.options(server.url), client).issue(COUPON, NOW)

    result = asyncio.run(run())
    assert (result.answer, result.cause) == (Answer.PERMANENT, Cause.CONFLICT)


UNSURE = [
    pytest.param(name, reply, id=f"{name}-{number}")
    for name in COUPONS
    for number, reply in enumerate((Response(503), Response(200, b"<html>"), *coupon_case(name).unsure))
]


@pytest.mark.parametrize(("name", "reply"), UNSURE)
def test_a_shop_that_does_not_answer_says_nothing_about_its_codes(name: str, reply: Response) -> None:
    async def run() -> None:
        case = coupon_case(name)
        async with http() as client, FakeServer(case.fake()) as server:
            provider = registry.coupons(name, case.options(server.url), client)
            server.script.append(reply)
            assert await provider.find(COUPON.code, NOW) is None
            server.script.append(reply)
            with pytest.raises(CouponsUnavailableError):
                [code async for code in provider.codes("SRY", NOW)]

    assert coupon_case(name).unsure
    asyncio.run(run())
