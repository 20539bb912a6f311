"""A list of many codes, at a shop that makes its askers wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from notifier import registry
from notifier.http import Http
from notifier.sending import CouponsUnavailableError
from tests.channels.case import COUPON, NOW
from tests.channels.coupons_shopify import CASE, FILLED, Fake, failed
from tests.fakes.server import FakeServer, Handler


async def listed(fake: Handler) -> list[str]:
    async with Http() as client, FakeServer(fake) as server:
        provider = registry.coupons("shopify", CASE.options(server.url), client)
        return [code async for code in provider.codes("SRY", NOW)]


def test_a_list_goes_on_where_the_shop_made_it_wait() -> None:
    fake = Fake()
    for number in range(5):
        fake.made[f"SRY{number}"] = {"title": f"Forestall {number}"}
    fake.made["SUMMER"] = {"title": "Summer sale"}
    fake.made["OTHER"] = {"title": "Forestall by another installation"}
    assert asyncio.run(listed(fake)) == [f"SRY{number}" for number in range(5)]
    assert fake.pages == 12, "six pages, each asked for twice and none from the beginning"


def test_a_shop_that_only_makes_wait_is_given_up() -> None:
    with pytest.raises(CouponsUnavailableError):
        asyncio.run(listed(lambda _request: failed("THROTTLED", extensions=FILLED)))


def test_what_is_issued_is_listed() -> None:
    async def run() -> list[str]:
        fake = Fake()
        async with Http() as client, FakeServer(fake) as server:
            provider = registry.coupons("shopify", CASE.options(server.url), client)
            for number in range(3):
                await provider.issue(replace(COUPON, code=f"SRYX{number}"), NOW)
            return [code async for code in provider.codes("SRYX", NOW)]

    assert asyncio.run(run()) == ["SRYX0", "SRYX1", "SRYX2"]
