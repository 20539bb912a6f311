"""A name from outside in an alert, as each chat is sent it: nothing that the chat would make a link, a mention or markup of.

What a chat makes of plain text by itself: a link of a scheme or of a host that stands alone, of a channel's name after
`~` or `#`.
"""

from __future__ import annotations

import asyncio

import pytest

from monitor.notifications.proposals import clean, unmarked
from notifier import registry
from notifier.http import Http
from notifier.sending import Answer
from tests.channels.case import NOW
from tests.fakes.server import FakeServer
from tests.incidents.story import jam
from tests.notifications.test_messages import JAM, message, said
from tests.notifications.test_notifications import World
from tests.test_channel_contract import SPLITTING, channel_case

LINKING = [
    "http://evil.example/login",
    "https://evil.example",
    "evil.example",
    "www.evil.example/x",
    "(.evil.example:80)",
    "tg://resolve?domain=evil",
    "仓evil.中国",
    "~town-square",
    "#general",
]


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("place", LINKING)
def test_no_chat_is_given_a_name_that_it_would_link(name: str, place: str) -> None:
    async def run() -> str:
        world = World()
        world.tick(jam(place, **{**JAM, "zh": f"网点 {place} 积压"}))
        case = channel_case(name)
        async with Http() as http, FakeServer(case.fake()) as server:
            channel = registry.channel(name, case.options(server.url), http)
            result = await channel.send(message(said(world)[0]), NOW)
            assert result.answer is Answer.DONE, result
            return server.requests[-1].body.decode()

    body = asyncio.run(run())
    assert place not in body
    assert "://evil" not in body
    assert "https://forestall.example/incidents/" in body, "our own link stays one"


@pytest.mark.parametrize(
    "name",
    ["HUB-1", "No.5", "3.5 km", "St. Louis", "10.0.0.1", "Wang, Li & Co.", "沈阳分拨中心"],
)
def test_an_ordinary_name_is_left_as_it_is(name: str) -> None:
    assert clean(name) == name


def test_our_own_people_may_link() -> None:
    assert unmarked("see https://wiki.example/jam <all>") == "see https://wiki.example/jam ‹all›"
