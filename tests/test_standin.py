"""The demo's providers answer the real channels as real ones would, and show what they were sent."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from monitor.standin import Faults, Standin
from notifier.channels.webhook import WebhookChannel, WebhookOptions
from notifier.coupons.webhook import WebhookCouponOptions, WebhookCoupons
from notifier.http import Http, Reply
from notifier.sending import Answer, Cause, Contact, Coupon, Message

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_763_769_600_000
APOLOGY = Message(
    key="A1", title="抱歉", body="您的包裹晚了。", customer_id="C1", order_id="O1", template="late", coupon_code="SRYX",
    recipient=Contact(phone="+8613800001234"),
)  # fmt: skip
COUPON = Coupon("SRYX", 500, "CNY", "A1", "C1", "O1", NOW + 86_400_000)


@asynccontextmanager
async def served(standin: Standin) -> AsyncIterator[str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else no TCP_NODELAY
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(standin.app, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


@pytest.fixture
async def http(anyio_backend: object) -> AsyncIterator[Http]:
    async with Http() as client:
        yield client


def channel(url: str, http: Http, secret: str = SECRET) -> WebhookChannel:
    return WebhookChannel(WebhookOptions(url=SecretStr(f"{url}/messages"), secret=SecretStr(secret)), http)


def shop(url: str, http: Http, secret: str = SECRET) -> WebhookCoupons:
    return WebhookCoupons(
        WebhookCouponOptions(url=SecretStr(f"{url}/coupons"), secret=SecretStr(secret)), http
    )


async def call(http: Http, method: str, url: str, body: bytes = b"") -> Reply:
    reply = await http.request(method, url, headers={}, body=body or None)
    assert isinstance(reply, Reply)
    return reply


async def state(http: Http, url: str) -> Mapping[str, Any]:
    return (await call(http, "GET", f"{url}/state.json")).object()


@pytest.mark.anyio
async def test_a_message_sent_twice_reaches_the_customer_once(http: Http) -> None:
    async with served(Standin(SECRET, lambda: NOW)) as url:
        first = await channel(url, http).send(APOLOGY, NOW)
        again = await channel(url, http).send(APOLOGY, NOW)
        assert first.answer is again.answer is Answer.DONE
        assert first.provider_id == again.provider_id
        seen = await state(http, url)
    assert [one["body"] for one in seen["messages"]] == ["您的包裹晚了。"]
    assert seen["counts"]["repeated"] == 1
    assert "+8613800001234" not in json.dumps(seen)


@pytest.mark.anyio
async def test_a_wrong_secret_and_an_old_signature_are_refused(http: Http) -> None:
    async with served(Standin(SECRET, lambda: NOW)) as url:
        wrong = await channel(url, http, "whsec_AAAA").send(APOLOGY, NOW)
        old = await channel(url, http).send(APOLOGY, NOW - 600_000)
        unsigned = await call(http, "POST", f"{url}/messages", b"{}")
        seen = await state(http, url)
    assert wrong.cause is old.cause is Cause.AUTH
    assert unsigned.status == 401
    assert seen["messages"] == []
    assert seen["counts"]["rejected"] == 3


@pytest.mark.anyio
async def test_a_coupon_is_made_once_found_listed_and_not_given_to_another_intent(http: Http) -> None:
    async with served(Standin(SECRET, lambda: NOW)) as url:
        coupons = shop(url, http)
        assert (await coupons.issue(COUPON, NOW)).answer is Answer.DONE
        assert (await coupons.issue(COUPON, NOW)).answer is Answer.DONE
        stolen = Coupon("SRYX", 500, "CNY", "A2", "C2", "O2", NOW + 1)
        assert (await coupons.issue(stolen, NOW)).cause is Cause.CONFLICT
        for number in range(450):
            await coupons.issue(
                Coupon(f"SRY{number:04d}", 100, "CNY", f"A{number}", None, None, NOW + 1), NOW
            )
        await coupons.issue(Coupon("XYZ1", 100, "CNY", "A9999", None, None, NOW + 1), NOW)
        assert await coupons.find("SRYX", NOW)
        assert await coupons.find("SRYY", NOW) is False
        listed = [code async for code in coupons.codes("SRY", NOW)]
        seen = await state(http, url)
    assert listed == [*(f"SRY{number:04d}" for number in range(450)), "SRYX"]
    assert seen["counts"]["coupons"] == 452
    assert seen["counts"]["amount"] == 500 + 451 * 100


@pytest.mark.anyio
async def test_a_coupon_without_worth_is_refused(http: Http) -> None:
    async with served(Standin(SECRET, lambda: NOW)) as url:
        answer = await shop(url, http).issue(Coupon("SRY0", 0, "CNY", "A1", None, None, NOW), NOW)
        assert answer.answer is Answer.PERMANENT


@pytest.mark.anyio
async def test_an_answer_lost_after_the_coupon_was_made_costs_no_second_coupon(http: Http) -> None:
    standin = Standin(SECRET, lambda: NOW, Faults(lost=1.0))
    async with served(standin) as url:
        assert (await shop(url, http).issue(COUPON, NOW)).answer is Answer.AMBIGUOUS
        assert (await shop(url, http).issue(COUPON, NOW)).answer is Answer.AMBIGUOUS
        assert await shop(url, http).find("SRYX", NOW)
    assert standin.counts.coupons == 1
    assert standin.counts.amount == 500


@pytest.mark.anyio
async def test_a_refusal_does_nothing_and_a_limit_says_when_to_come_back(http: Http) -> None:
    refusing, limiting = (
        Standin(SECRET, lambda: NOW, Faults(refused=1.0)),
        Standin(SECRET, lambda: NOW, Faults(limited=1.0)),
    )
    async with served(refusing) as url:
        assert (await channel(url, http).send(APOLOGY, NOW)).cause is Cause.SERVER
    async with served(limiting) as url:
        answer = await channel(url, http).send(APOLOGY, NOW)
    assert (answer.cause, answer.retry_after) == (Cause.RATE, 1.0)
    assert refusing.counts.messages == limiting.counts.messages == 0


@pytest.mark.anyio
async def test_the_ops_chat_takes_what_slack_takes(http: Http) -> None:
    alert = {
        "text": "fallback",
        "attachments": [{
            "color": "#c4320a",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "武汉分拨中心爆仓"}},
                {"type": "section", "text": {"type": "mrkdwn", "text": "*312* 件"}, "fields": [{"type": "mrkdwn", "text": "*p90*\n31 h"}]},
                {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "确认"}}]},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "why"}]},
                {"type": "hologram"},
            ],
        }],
    }  # fmt: skip
    async with served(Standin(SECRET, lambda: NOW)) as url:
        answers = [
            await call(http, "POST", f"{url}/ops", body)
            for body in (json.dumps(alert).encode(), b'{"text": "plain"}', b"{}", b"not json")
        ]
        seen = await state(http, url)
    assert [(a.status, a.body) for a in answers] == [
        (200, b"ok"), (200, b"ok"), (400, b"no_text"), (400, b"invalid_payload"),
    ]  # fmt: skip
    kinds = [part["kind"] for part in seen["alerts"][0]["parts"]]
    assert kinds == ["title", "text", "fields", "buttons", "context"]
    assert seen["alerts"][1]["title"] == "plain"


@pytest.mark.anyio
async def test_the_page_needs_nothing_from_elsewhere(http: Http) -> None:
    async with served(Standin(SECRET, lambda: NOW)) as url:
        page = await call(http, "GET", f"{url}/")
    text = page.body.decode()
    assert page.status == 200
    assert "http://" not in text
    assert "https://" not in text
    assert "innerHTML" not in text
