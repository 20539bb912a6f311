"""One click in a mail, and the customer hears no more: over real HTTP, to the ledger, at the claim and at sending."""

from __future__ import annotations

import asyncio
import email
import email.policy
import http.client
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from starlette.applications import Starlette

from config.loading import ConfigError
from config.settings import Settings
from monitor.server import bind, serving
from monitor.unsubscribe import opt_out_url, unsubscribe_routes
from notifier.actions import Reason
from notifier.audit import Audit
from notifier.identity import Identity
from notifier.ledger import Ledger
from notifier.sending import Contact
from notifier.store import Store
from tests.fakes.mail import MailServer, mailing
from tests.fakes.valkey import Valkey
from tests.money.sending import World, run_dry
from tests.money.shop import DAY, IDENTITY, NOW, OPEN, message
from tests.money.test_delivery import WORDS


@asynccontextmanager
async def shop(valkey: Valkey, prefix: str) -> AsyncIterator[tuple[World, str]]:
    """A ledger, and the daemon's own routes on a port; yields where customers reach it."""
    async with Store(valkey.url, prefix) as store:
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        listening = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = Starlette(routes=unsubscribe_routes(ledger, IDENTITY, lambda: NOW))
        async with serving(app, listening):
            yield World(store, ledger, contact=Contact(email="li.lei@example.com")), url


def ask(method: str, url: str, body: str = "", language: str = "en") -> tuple[int, str]:
    host, _, path = url.removeprefix("http://").partition("/")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": language}
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request(method, f"/{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def headers(method: str, url: str) -> dict[str, str]:
    host, _, path = url.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request(method, f"/{path}")
        return {name.lower(): value for name, value in connection.getresponse().getheaders()}


def test_a_link_that_is_a_right_is_told_to_nobody_else(valkey: Valkey, prefix: str) -> None:
    """No cache keeps the page, no search engine lists it, and what is clicked from there does not name it."""

    async def run() -> None:
        async with shop(valkey, prefix) as (_, url):
            for method in ("GET", "POST"):
                found = await asyncio.to_thread(headers, method, f"{url}/u/{IDENTITY.opt_out_token('c-1')}")
                assert found["referrer-policy"] == "no-referrer"
                assert found["cache-control"] == "no-store"
                assert found["x-robots-tag"] == "noindex"

    asyncio.run(run())


def test_a_click_in_the_mail_ends_the_messages(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        server = MailServer()
        async with (
            shop(valkey, prefix) as (world, url),
            mailing(server) as channel,
        ):
            world.customer = channel  # type: ignore[assignment]
            delivery = await world.delivery(unsubscribe=opt_out_url(url, IDENTITY))
            queued = message("li.lei@example.com", "2", capped=False, variables=WORDS, not_before=NOW + DAY)
            await world.ledger.claim_all([message("li.lei@example.com", "1", variables=WORDS), queued], NOW)
            await run_dry(delivery, NOW)
            mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
            assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            link = str(mail["List-Unsubscribe"])[1:-1]
            body = mail.get_body(("plain",))
            assert body is not None
            assert link in body.get_content().replace("\n", "")
            assert "li.lei" not in link

            status, page = await asyncio.to_thread(ask, "GET", link)
            assert status == 200
            assert "<form" in page
            assert await world.ledger.refuses("li.lei@example.com", "service") is None, "fetching only asks"
            for _ in range(2):
                assert (await asyncio.to_thread(ask, "POST", link, "List-Unsubscribe=One-Click"))[0] == 200
            assert await world.ledger.refuses("li.lei@example.com", "service") is Reason.OPTED_OUT

            (again,) = await world.ledger.claim_all([message("li.lei@example.com", "3", capped=False)], NOW)
            assert again.reason is Reason.OPTED_OUT, "checked at the claim"
            await run_dry(delivery, NOW + DAY)
            assert len(server.mails) == 1, "and again at sending"
            claim = await world.ledger.get(queued.action_id)
            assert claim is not None
            assert (claim.state, claim.why) == ("failed", "opted_out")
            log = [record.body async for record in Audit(world.store, world.ledger, IDENTITY).records()]
            said = [one for one in log if one["event"] == "consent"]
            assert [(one["to"], one["source"], one["who"]) for one in said] == [("out", "mail", "customer")]

    asyncio.run(run())


@pytest.mark.parametrize("harm", ["short", "flipped", "foreign", "other"])
def test_a_forged_link_opts_nobody_out(valkey: Valkey, prefix: str, harm: str) -> None:
    async def run() -> None:
        async with shop(valkey, prefix) as (world, url):
            good = IDENTITY.opt_out_token("c-1")
            tokens = {
                "short": good[:-1],
                "flipped": good[:-1] + ("0" if good[-1] != "0" else "1"),
                "foreign": Identity(b"another tenant's key, 32 bytes!!").opt_out_token("c-1"),
                "other": IDENTITY.pseudonym("c-2") + good[24:],
            }
            for method in ("GET", "POST"):
                status, page = await asyncio.to_thread(ask, method, f"{url}/u/{tokens[harm]}", "", "zh-CN")
                assert (status, "无效" in page) == (404, True)
            assert await world.ledger.refuses("c-1", "service") is None
            assert await world.ledger.refuses("c-2", "service") is None

    asyncio.run(run())


def test_without_an_address_a_mail_has_no_such_header(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with shop(valkey, prefix) as (world, _):
            await world.ledger.claim_all([message("c-1", "1", variables=WORDS)], NOW)
            await run_dry(await world.delivery(), NOW)
            assert [read.unsubscribe for read in world.customer.read] == [None]

    asyncio.run(run())


@pytest.mark.parametrize("url", ["http://shop.example", "ftp://shop.example", "shop.example", "https://a b"])
def test_the_address_is_https(url: str) -> None:
    with pytest.raises((ConfigError, ValueError), match="unsubscribe_url"):
        Settings.model_validate({"delivery": {"unsubscribe_url": url}})
