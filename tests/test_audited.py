"""Whatever a person changes is in the audit log, with who, why and from where; and what cannot be is said so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.assembly import tenant_key
from monitor.letters import Letter
from monitor.links import Act, Link
from monitor.standin import Standin
from monitor.vocabulary import DeadReason
from notifier.actions import ActionKind, Proposal
from notifier.audit import Audit
from notifier.http import Reply
from notifier.identity import Identity
from tests.incidents.story import jam, stuck
from tests.whole import HOUR, Clock, Shop, running

pytestmark = pytest.mark.anyio


class Desk:
    """A person with the token, and the log of what they did."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        daemon = shop.daemon
        self.audit = Audit(daemon.opened.store, daemon.ledger, Identity(tenant_key(daemon.settings)))

    async def does(self, name: str, **arguments: Any) -> Reply:
        headers = {**self.shop.bearer, "x-forestall-actor": "anna"}
        return await self.shop.ask("POST", f"/v1/commands/{name}", arguments, **headers)

    async def log(self) -> list[dict[str, Any]]:
        """Without what the chain itself needs."""
        return [
            {name: value for name, value in one.body.items() if name not in {"seq", "at"}}
            async for one in self.audit.records()
            if "who" in one.body
        ]

    async def jam(self) -> str:
        now = self.shop.clock.now
        parcels = [stuck(number, now) for number in range(30)]
        await self.shop.daemon.loop.pipeline._act([jam(at=now), *parcels], now, settle=True)
        (view,) = self.shop.daemon.incidents.firing()
        return view.incident_id


@pytest.fixture
async def desk(tmp_path: Path, standin: Standin, clock: Clock) -> AsyncIterator[Desk]:
    async with running(tmp_path, standin, clock, money={"two_people_above": 1, "holdout_percent": 0}) as shop:
        yield Desk(shop)


def said(event: str, about: str, why: str) -> dict[str, Any]:
    return {"event": event, "about": about, "why": why, "who": "anna", "from": "127.0.0.1"}


async def test_what_is_decided_about_incidents_is_audited(desk: Desk) -> None:
    incident = await desk.jam()
    acts: Sequence[tuple[str, dict[str, Any], str]] = [
        ("ack", {}, incident),
        ("snooze", {"hours": 2}, f"{incident} for 2 hours"),
        ("note", {}, incident),
    ]
    expected = []
    for name, arguments, about in acts:
        reply = await desk.does(name, incident=incident, reason=f"because {name}", **arguments)
        assert reply.status == 200, reply.body
        expected.append(said(name, about, f"because {name}"))
    reply = await desk.does("silence", matchers=["kind=feed_silent"], hours=3, reason="moving house")
    silence = json.loads(reply.body)["silence"]
    about = f'{silence} for 3 hours: kind="feed_silent"'
    expected.append(said("silence", about, "moving house"))
    assert (await desk.does("unsilence", silence=silence, reason="moved")).status == 200
    expected.append(said("unsilence", silence, "moved"))
    assert (await desk.does("resolve", incident=incident, reason="cleared")).status == 200
    expected.append(said("resolve", incident, "cleared"))
    assert await desk.log() == expected
    assert await desk.audit.verify() == []


async def test_what_could_not_be_done_is_refused_and_leaves_no_trace(desk: Desk) -> None:
    incident = await desk.jam()
    refused: Sequence[tuple[str, dict[str, Any], int]] = [
        ("unsilence", {"silence": "S0000"}, 404),
        ("ack", {"incident": "I0000"}, 404),
        ("resolve", {"incident": "I0000"}, 404),
        ("silence", {"matchers": ["bogusname=1"], "reason": "x"}, 400),
        ("silence", {"matchers": ["customer=C1"], "reason": "x"}, 400),  # no incident is about one
        ("silence", {"matchers": ["kind=feed_silent"]}, 400),  # why is missing
        ("snooze", {"incident": incident, "hours": 0}, 400),
        ("deadletter-replay", {"entry": "x"}, 400),
        ("hold", {"reason": "x" * 2001}, 400),
    ]
    for name, arguments, status in refused:
        assert (await desk.does(name, **arguments)).status == status, name
    assert (await desk.does("silence", matchers=["kind=feed_silent"], preview=True)).status == 200
    assert await desk.log() == []


async def test_a_silence_ends_once(desk: Desk) -> None:
    reply = await desk.does("silence", matchers=["carrier=sf"], reason="drill")
    silence = json.loads(reply.body)["silence"]
    assert (await desk.does("unsilence", silence=silence)).status == 200
    desk.shop.clock.now += 1000
    assert (await desk.does("unsilence", silence=silence)).status == 404


async def test_reading_dead_letters_again_is_audited(desk: Desk) -> None:
    letter = Letter(DeadReason.MALFORMED_JSON, "", b"{", "", desk.shop.clock.now)
    await desk.shop.daemon.commands.letters.park([letter])
    (kept,) = await desk.shop.daemon.commands.letters.list()
    assert (await desk.does("deadletter-replay", entry=kept.id, reason="table mended")).status == 200
    assert (await desk.does("deadletter-replay")).status == 200
    missing = await desk.does("deadletter-replay", entry="1-1")
    assert (missing.status, b"no dead letter 1-1" in missing.body) == (404, True)
    log = await desk.log()
    assert log[:2] == [
        said("deadletter_replay", kept.id, "table mended"),
        said("deadletter_replay", "all", ""),
    ]


async def test_letters_that_are_cut_are_named_as_such(desk: Desk) -> None:
    letters, now = desk.shop.daemon.commands.letters, desk.shop.clock.now
    await letters.park([Letter(DeadReason.MALFORMED_JSON, "", b"{" * size, "", now) for size in (1, 70_000)])
    reply = json.loads((await desk.shop.ask("GET", "/v1/deadletters", **desk.shop.bearer)).body)
    assert [(one["bytes"], one["cut"]) for one in reply] == [(70_000, True), (1, False)]
    said = json.loads((await desk.does("deadletter-replay")).body)
    assert (said["refused"], said["cut"]) == (2, 1)
    assert "1 of them because only their beginning is kept" in said["message"]


async def test_letting_go_of_dead_letters_is_audited_and_one_that_is_not_there_is_said(desk: Desk) -> None:
    letters = desk.shop.daemon.commands.letters
    await letters.park([Letter(DeadReason.MALFORMED_JSON, "", b"{", "", desk.shop.clock.now)])
    (kept,) = await letters.list()
    refused: list[tuple[dict[str, Any], int]] = [({}, 400), ({"entry": "x"}, 400), ({"reason": "odd"}, 400)]
    for arguments, status in refused:
        assert (await desk.does("deadletter-drop", **arguments)).status == status, arguments
    assert await desk.log() == []
    for status in (200, 404):
        assert (await desk.does("deadletter-drop", entry=kept.id)).status == status
    assert await letters.list() == []
    assert (await desk.log())[0] == said("deadletter_drop", kept.id, "")


async def test_an_answer_to_an_alert_is_audited_under_the_name_that_was_given(desk: Desk) -> None:
    await desk.jam()
    link = Link(Act.NOISE, "I1", desk.shop.clock.now + HOUR, "n1", "late")
    reply = await press(desk.shop, link, "Bo")
    assert reply.status == 200
    entry = {"event": "answer", "about": "late", "why": "noise", "who": "Bo (link)", "from": "link 127.0.0.1"}
    assert await desk.log() == [entry]


async def press(shop: Shop, link: Link, name: str) -> Reply:
    links = shop.daemon.notices.desk.links
    assert links is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    return await shop.ask("POST", f"/a/{links.sign(link)}", f"name={name}".encode(), **form)


async def test_a_button_that_takes_two_people_works_for_the_second(desk: Desk) -> None:
    """Whoever was the first may press it twice, by mistake: it is not theirs alone."""
    now = desk.shop.clock.now
    gift = Proposal(
        kind=ActionKind.COUPON,
        finding_id="F1",
        subject="parcel:SF1",
        cause="late:F1",
        channel="coupons",
        template="",
        policy_version="v1",
        amount=9900,
        currency="CNY",
        customer_id="C1",
        rule="late",
    )
    decided = await desk.shop.daemon.ledger.claim(gift, now)
    assert decided.outcome == "held"
    link = Link(Act.APPROVE, gift.action_id, now + HOUR, "n2", "late")
    for name, status in (("Anna", 200), ("Anna", 200), ("Bo", 200), ("Cy", 410)):
        reply = await press(desk.shop, link, name)
        assert reply.status == status, (name, reply.body)
    claim = await desk.shop.daemon.ledger.get(gift.action_id)
    assert claim is not None
    assert claim.state != "held"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/deadletters?count=%C2%B2", b"", 400),
        ("GET", "/v1/outbox?state=zzz", b"", 400),
        ("GET", "/v1/outbox?state=unknown", b"", 200),
        ("POST", "/v1/commands/hold", b'{"reason": "\xff"}', 400),
        ("POST", "/v1/commands/hold", b"[" * 100_000, 400),
        ("POST", "/v1/commands/hold", b'{"reason": "' + b"x" * 2_000_000 + b'"}', 413),
    ],
)
async def test_a_mistake_is_named_and_is_not_ours(
    desk: Desk, method: str, path: str, body: bytes, status: int
) -> None:
    reply = await desk.shop.ask(method, path, body, **desk.shop.bearer)
    assert reply.status == status, reply.body
    assert await desk.shop.daemon.ledger.switches() == {}


async def test_a_page_of_no_number_is_the_first(desk: Desk) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    token = f"token={desk.shop.daemon.token}&name=li".encode()
    door = await desk.shop.ask("POST", "/sign-in", token, **form)
    cookie = door.headers["set-cookie"].split(";")[0]
    page = await desk.shop.ask("GET", "/incidents?page=%C2%B2", b"", cookie=cookie)
    assert page.status == 200
