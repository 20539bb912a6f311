"""A provider's webhook over real HTTP, down to the event stream of a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from config.settings import IntakeSettings
from monitor.api import Actor
from monitor.bodies import Room
from monitor.deadletter import DeadLetters
from monitor.feeds.base import Push
from monitor.feeds.batch import Batches
from monitor.feeds.classify import Classifier
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.registry import FEEDS
from monitor.http_feeds import MOST_UNVERIFIED_BYTES, feed_routes
from monitor.intake import Intake, IntakeBusyError, Receipt
from monitor.metrics import Metrics
from monitor.server import bind, serving
from monitor.stream import EventStream
from monitor.vocabulary import DeadReason
from notifier.store import Store
from tests.feeds.cases import GOLDEN, NOW, feed, payloads, push

pytestmark = pytest.mark.anyio
MOST = 2_000_000
TOKEN = "t0ken"
CLASSIFIER = Classifier()


@dataclass
class Shop:
    client: httpx.AsyncClient
    store: Store
    desk: Desk
    letters: DeadLetters
    metrics: Metrics
    port: int
    room: Room
    audited: list[tuple[str, str, str, Actor]]

    async def push(self, pushed: Push, name: str) -> httpx.Response:
        return await self.client.post(
            f"/v1/feeds/{name}", content=pushed.raw, headers=pushed.headers, params=dict(pushed.query)
        )

    async def golden(self, kind: str, case: str) -> httpx.Response:
        return await self.push(push(self.desk.feeds[kind], GOLDEN / kind / f"{case}.json"), kind)

    async def events(self) -> list[dict[str, Any]]:
        """What is in the stream, the first of each id."""
        found: dict[str, dict[str, Any]] = {}
        for entry in await self.store.stream_range(EventStream(self.store).key(0)):
            for line in (entry.get(b"batch") or entry.get(b"e") or b"").split(b"\n"):
                event = msgspec.json.decode(line)
                found.setdefault(event["event_id"], event)
        return list(found.values())

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"forestall_{name}_total", labels) or 0.0


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        desk = Desk({kind: feed(kind) for kind in FEEDS}, intake, letters, StoreMemory(store), metrics)
        listening = bind("127.0.0.1", 0)
        port = listening.getsockname()[1]
        audited: list[tuple[str, str, str, Actor]] = []

        async def audit(event: str, about: str, why: str, actor: Actor) -> None:
            audited.append((event, about, why, actor))

        room = Room(MOST_UNVERIFIED_BYTES)
        routes = feed_routes(
            desk, lambda: NOW, MOST, token=TOKEN, classifier=CLASSIFIER, audit=audit, room=room
        )
        app = Starlette(routes=routes)
        async with (
            serving(app, listening),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield Shop(client, store, desk, letters, metrics, port, room, audited)


@pytest.mark.parametrize("kind", sorted(FEEDS))
async def test_what_was_answered_with_200_is_in_the_stream(shop: Shop, kind: str) -> None:
    path = next(path for path in payloads(kind) if "events" in _expected(path))
    answer = await shop.push(push(shop.desk.feeds[kind], path), kind)
    assert answer.status_code == 200
    expected = {event["event_id"] for event in _expected(path)["events"]}
    assert {event["event_id"] for event in await shop.events()} == expected


def _expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("kind", sorted(FEEDS))
async def test_a_forged_push_is_401_counted_and_leaves_nothing(shop: Shop, kind: str) -> None:
    forged = push(feed(kind, secret="another"), payloads(kind)[0])
    assert (await shop.push(forged, kind)).status_code == 401
    assert (await shop.client.post(f"/v1/feeds/{kind}", content=b"{}")).status_code == 401
    assert shop.count("rejected_signatures", feed=kind) == 2
    assert shop.desk.status[kind].rejected == {"wrong": 1, "missing": 1}
    assert await shop.events() == []
    assert await shop.letters.count() == 0


async def test_five_megabytes_are_refused_before_they_are_read(shop: Shop) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    head = f"POST /v1/feeds/kuaidi100 HTTP/1.1\r\nhost: x\r\ncontent-length: {5 << 20}\r\n\r\n"
    writer.write(head.encode())  # and not a byte of the body
    await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_hides_its_size_is_cut_off_all_the_same(shop: Shop) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"x" * 65_536

    try:
        answer = await shop.client.post("/v1/feeds/kuaidi100", content=endless())
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        pass  # the server hung up while the client was still sending
    assert await shop.events() == []


async def test_a_feed_nobody_configured_is_404(shop: Shop) -> None:
    assert (await shop.client.post("/v1/feeds/nothing", content=b"{}")).status_code == 404
    assert (await shop.client.get("/v1/feeds/nothing")).status_code == 404
    assert (await shop.client.get("/v1/feeds/shopify")).status_code == 405


async def test_an_unknown_code_is_kept_counted_and_copied_once(shop: Shop) -> None:
    for _ in range(3):
        assert (await shop.golden("kuaidi100", "names_only_and_a_new_code")).status_code == 200
    (event,) = [event for event in await shop.events() if event["status"] == "unknown"]
    assert event["status_raw"] == "1099"
    assert shop.count("unknown_codes", feed="kuaidi100") == 3
    letters = await shop.letters.list()
    assert sorted((letter.reason, letter.feed) for letter in letters) == [
        (DeadReason.BAD_TIME, "kuaidi100"),
        (DeadReason.UNKNOWN_CODE, "kuaidi100"),
    ]
    assert shop.count("unplaced", feed="kuaidi100") == 3


async def test_a_signed_push_that_nobody_can_read_is_a_dead_letter(shop: Shop) -> None:
    for kind, status in (("aftership", 400), ("kuaidi100", 200)):
        answer = await shop.push(shop.desk.feeds[kind].sign(b"{oops", NOW), kind)
        assert answer.status_code == status
    assert {letter.reason for letter in await shop.letters.list()} == {DeadReason.MALFORMED_JSON}


@pytest.mark.parametrize(("case", "letters"), [("names_only_and_a_new_code", 2), ("not_an_object", 1)])
async def test_what_could_not_be_parked_is_parked_when_it_comes_again(
    shop: Shop, case: str, letters: int
) -> None:
    """The provider is told "busy" and sends all of it once more; and then as often as it likes: it is parked once."""
    await shop.store.call("SET", shop.letters.key, "in the way")
    assert (await shop.golden("kuaidi100", case)).status_code == 503
    await shop.store.delete(shop.letters.key)
    for _ in range(3):
        assert (await shop.golden("kuaidi100", case)).status_code < 500
    assert await shop.letters.count() == letters


async def test_an_event_may_come_before_the_push_that_explains_it(shop: Shop) -> None:
    await shop.golden("shopify", "fulfilment_event")
    assert await shop.events() == []
    assert shop.desk.status["shopify"].waiting == 1
    await shop.golden("shopify", "fulfilment")
    first = await shop.events()
    attempt = next(event for event in first if event["status"] == "attempt_failed")
    assert (attempt["tracking_number"], attempt["carrier"]) == ("1Z0000000000000704", "ups")


async def test_the_order_of_pushes_changes_nothing(shop: Shop) -> None:
    cases = ["fulfilment", "fulfilment_event", "order_with_its_past", "unknown_fulfilment_event"]
    seen = set()
    for order in (cases, cases[::-1], cases * 2, cases[1:] + cases[:1]):
        await shop.store.call("FLUSHALL")
        for case in order:
            assert (await shop.golden("shopify", case)).status_code == 200
        seen.add(json.dumps(sorted(await shop.events(), key=lambda event: str(event["event_id"]))))
    assert len(seen) == 1


@pytest.mark.parametrize("first", ["the order", "the event"])
async def test_what_a_fulfilment_s_event_says_it_says_of_each_of_its_parcels(shop: Shop, first: str) -> None:
    event = {
        "id": 1,
        "fulfillment_id": 9000000000701,
        "status": "delivered",
        "happened_at": "2026-11-21T09:00:00+08:00",
    }
    one = shop.desk.feeds["shopify"]
    delivered = one.sign(json.dumps(event).encode(), NOW, {"x-shopify-topic": "fulfillment_events/create"})
    if first == "the order":
        await shop.golden("shopify", "order_with_its_past")
    for _ in range(2):
        await shop.push(delivered, "shopify")
    if first == "the event":
        await shop.golden("shopify", "order_with_its_past")
    found = [event["tracking_number"] for event in await shop.events() if event["status"] == "delivered"]
    assert sorted(found) == ["SF1700000000701", "SF1700000000702"]


async def test_what_was_learned_of_one_parcel_alone_is_still_known(shop: Shop) -> None:
    key = shop.store.key("feed", "shopify", "known", "fulfillment:9000000000704")
    await shop.store.put(key, '{"tracking_number": "T1", "carrier": "ups"}')
    await shop.golden("shopify", "fulfilment_event")
    assert [event["tracking_number"] for event in await shop.events()] == ["T1"]


async def test_what_is_no_order_is_skipped_with_its_reason(shop: Shop) -> None:
    for case in ("draft_order", "abandoned_checkout", "order_of_the_test_mode", "refund"):
        assert (await shop.golden("shopify", case)).status_code == 200
    assert await shop.events() == []
    assert await shop.letters.count() == 0
    assert shop.count("pushes_skipped", feed="shopify", reason="topic") == 2
    report = shop.desk.status["shopify"].report(NOW)
    assert report["skipped"] == {"topic": 2, "test": 1, "told_by_the_order": 1}


async def test_while_the_store_is_away_the_provider_is_told_to_come_again(shop: Shop) -> None:
    class Away:
        async def submit(self, *_: Any, **__: Any) -> Receipt:
            raise IntakeBusyError("the store does not answer")

    shop.desk._batches = Batches(Away())
    for kind in FEEDS:
        path = next(path for path in payloads(kind) if "events" in _expected(path))
        answer = await shop.golden(kind, path.stem)
        assert answer.status_code == 503
        assert (
            0 < int(answer.headers["retry-after"]) < 60
        )  # Zendesk sends nothing again for which it would wait longer
    assert await shop.letters.count() == 0


async def test_a_dead_letter_can_be_read_again_with_a_better_table(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.feeds.canonical import Code
    from monitor.feeds.wechat_shop import codes

    plain = feed("wechat_shop", aes_key=None, plain=True)
    shop.desk.feeds = {**shop.desk.feeds, "wechat_shop": plain}
    shop.desk.add_reader(plain)
    await shop.golden("wechat_shop", "new_state")
    assert await shop.letters.replay(shop.desk.replay) == (0, 1)
    monkeypatch.setitem(codes.CODES, "42", Code("exception"))
    assert await shop.letters.replay(shop.desk.replay) == (1, 0)
    assert {event["status"] for event in await shop.events()} == {"unknown", "exception"}
    assert await shop.letters.count() == 0


async def test_dead_letters_hold_no_secret_of_the_request(shop: Shop) -> None:
    one = shop.desk.feeds["shippo"]
    await shop.push(one.sign(b"{oops", NOW), "shippo")
    (letter,) = await shop.letters.list()
    assert b"s3cret" not in letter.raw


async def test_complaints_get_category_and_severity_from_their_text(shop: Shop) -> None:
    shop.desk.classifier = CLASSIFIER
    await shop.golden("gorgias", "ticket")
    await shop.golden("zendesk", "ticket_created")
    found = {event["complaint_id"]: event for event in await shop.events()}
    assert found["1201"]["category"] == "logistics"
    assert (found["1101"]["reason"], found["1101"]["severity"]) == ("late", "important")


async def test_the_report_tells_freshness_rate_codes_and_refusals(shop: Shop) -> None:
    await shop.golden("kuaidi100", "names_only_and_a_new_code")
    await shop.client.post("/v1/feeds/kuaidi100", content=b"")
    report = (await shop.client.get("/v1/feeds")).json()
    one = next(row for row in report if row["feed"] == "kuaidi100")
    assert one["events_last_hour"] == 4
    assert one["seconds_since_event"] == 0
    assert one["unknown_codes"] == {"1099": 1}
    assert one["rejected_signatures"] == {"missing": 1}
    assert one["dead_letters"] == 1


async def test_bodies_that_nobody_vouches_for_share_a_bounded_room(
    shop: Shop,
) -> None:
    """Slow senders without a signature take memory from each other, and from nobody else."""
    shop.room.most = 10_000
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    writer.write(
        b"POST /v1/feeds/kuaidi100 HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + b"a" * 9_000
    )
    await writer.drain()
    async with asyncio.timeout(60):
        while shop.room.held < 9_000:
            await shop.client.get("/v1/feeds")
    answer = await shop.golden("kuaidi100", "names_only_and_a_new_code")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    writer.close()
    async with asyncio.timeout(60):
        while shop.room.held:
            await shop.client.get("/v1/feeds")
    assert (await shop.golden("kuaidi100", "names_only_and_a_new_code")).status_code == 200
    assert not await reader.read()


async def test_a_correction_is_audited_without_its_text(shop: Shop) -> None:
    path = "/v1/complaints/T1/correct"
    right = {"authorization": f"Bearer {TOKEN}", "x-forestall-actor": "li"}
    assert (await shop.client.post(path, json={"reason": "late"}, headers=right)).status_code == 404
    answer = await shop.client.post(path, json={"reason": "late", "text": "驿站不开门"}, headers=right)
    assert answer.status_code == 200
    why = "reason late, severity None, category None"
    assert shop.audited == [("correct", "T1", why, Actor("li", "127.0.0.1"))]


async def test_a_correction_needs_the_token_and_teaches(shop: Shop) -> None:
    path = "/v1/complaints/never-seen/correct"
    assert (await shop.client.post(path, json={"reason": "late"})).status_code == 401
    right = {"authorization": f"Bearer {TOKEN}"}
    answer = await shop.client.post(path, json={"reason": "late"}, headers=right)
    assert (answer.status_code, "not remembered" in answer.text) == (404, True)
    answer = await shop.client.post(path, json={"reason": "late", "text": "驿站不开门"}, headers=right)
    assert answer.json() == {"learned": True}
    for wrong in (b"{}", b'{"severity": "terrible"}', b'{"reasn": "late"}', b"[]", b"{"):
        assert (await shop.client.post(path, content=wrong, headers=right)).status_code == 400
