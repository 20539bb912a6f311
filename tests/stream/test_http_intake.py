"""`POST /v1/events` over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.http_intake import EventsEndpoint
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.server import bind, serving
from monitor.stream import EventStream
from notifier.store import Store
from tests.stream.test_intake import NOW, numbers, scan

pytestmark = pytest.mark.anyio
TOKEN = "right"
MOST = 100_000


@dataclass
class Service:
    client: httpx.AsyncClient
    store: Store
    metrics: Metrics
    intake: Intake

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        return await self.client.post(
            "/v1/events", content=body, headers={"authorization": f"Bearer {TOKEN}", **headers}
        )


@pytest.fixture
async def service(store: Store) -> AsyncIterator[Service]:
    metrics = Metrics(process=False)
    async with Intake(
        EventStream(store), DeadLetters(store, metrics=metrics), IntakeSettings(linger_ms=0)
    ) as intake:
        endpoint = EventsEndpoint(
            intake, token=TOKEN, clock=lambda: NOW, max_body_bytes=MOST, metrics=metrics
        )
        listening = bind("127.0.0.1", 0)
        port = listening.getsockname()[1]
        async with (
            serving(Starlette(routes=[endpoint.route()]), listening),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield Service(client, store, metrics, intake)


async def test_one_event_an_array_and_ndjson_are_taken(service: Service) -> None:
    pretty = json.dumps(json.loads(scan(2)), indent=2).encode()
    bodies = [
        (scan(1), 1),
        (pretty, 1),
        (b"\n [" + scan(3) + b",\n" + pretty + b"]", 2),
        (scan(4) + b"\r\n" + scan(5) + b"\n\n", 2),
        (b"[]", 0),
    ]
    for body, accepted in bodies:
        answer = await service.post(body)
        assert (answer.status_code, answer.json()) == (200, {"accepted": accepted})
    assert await numbers(service.store) == [
        "SF000001",
        "SF000002",
        "SF000003",
        "SF000002",
        "SF000004",
        "SF000005",
    ]


async def test_a_mixed_request_names_what_was_wrong_and_takes_the_rest(service: Service) -> None:
    answer = await service.post(b"[" + scan(1) + b", 7, " + scan(2, occurred_at="yesterday") + b"]")
    assert answer.status_code == 422
    assert answer.json() == {
        "accepted": 1,
        "refused": 2,
        "errors": [
            {"index": 1, "reason": "not_an_object", "detail": "an event is a JSON object"},
            {
                "index": 2,
                "reason": "bad_time",
                "detail": "occurred_at must be an RFC 3339 time with an offset",
            },
        ],
    }
    assert await numbers(service.store) == ["SF000001"]
    assert await DeadLetters(service.store).count() == 2
    value = service.metrics.registry.get_sample_value
    assert value("forestall_deadletter_total", {"reason": "bad_time"}) == 1
    assert value("forestall_intake_requests_total", {"route": "/v1/events", "status": "422"}) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b'"latitude": NaN', "bad_number"),
        (b'"raw": "\\ud800"', "malformed_json"),
        (b'"raw": "line\nend"', "malformed_json"),
        (b'"raw": tru', "malformed_json"),
    ],
)
async def test_one_event_that_is_no_json_does_not_refuse_the_array(
    service: Service, wrong: bytes, reason: str
) -> None:
    """The same as where they come a line each."""
    bad = scan(2)[:-1] + b", " + wrong + b"}"
    answer = await service.post(b"[" + scan(1) + b",\n" + bad + b", " + scan(3) + b"]")
    assert answer.status_code == 422
    said = answer.json()
    assert (said["accepted"], [(one["index"], one["reason"]) for one in said["errors"]]) == (2, [(1, reason)])
    assert await numbers(service.store) == ["SF000001", "SF000003"]
    assert await DeadLetters(service.store).count() == 1


async def test_a_comma_at_the_end_of_an_array_is_no_event(service: Service) -> None:
    answer = await service.post(b"[" + scan(1) + b",\n]")
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1})


async def test_an_array_that_does_not_end_is_named_with_its_byte(service: Service) -> None:
    answer = await service.post(b'[{"kind": NaN}')
    assert answer.status_code == 400
    assert "byte" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic right"}, 401),
        ({"authorization": "bearer right"}, 200),
        ({"content-encoding": "gzip"}, 415),
    ],
)
async def test_who_may_send_and_how(service: Service, headers: dict[str, str], status: int) -> None:
    assert (await service.post(scan(1), **headers)).status_code == status


async def test_without_a_token_configured_everyone_is_refused(service: Service) -> None:
    endpoint = EventsEndpoint(
        service.intake, token=None, clock=lambda: NOW, max_body_bytes=MOST, metrics=Metrics(process=False)
    )
    transport = httpx.ASGITransport(Starlette(routes=[endpoint.route()]))
    async with httpx.AsyncClient(base_url="http://test", transport=transport) as client:
        for given in ("", "Bearer ", "Bearer x"):
            answer = await client.post("/v1/events", content=scan(1), headers={"authorization": given})
            assert answer.status_code == 401


@pytest.mark.parametrize("body", [b"", b"  \n ", b"[1,", b"[" * 5000, b"[]]"])
async def test_what_is_no_json_at_all_is_a_bad_request(service: Service, body: bytes) -> None:
    answer = await service.post(body)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def test_bytes_that_are_no_event_are_dead_letters(service: Service) -> None:
    for body in (b"\xff\x00", b"hello", b"{" * 5000, b'"x"'):
        assert (await service.post(body)).status_code == 422


async def test_a_request_that_is_too_large_is_refused_early(service: Service) -> None:
    assert (await service.post(b"x" * (MOST + 1))).status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 10_000

    answer = await service.client.post(
        "/v1/events", content=endless(), headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("said", [True, False])
async def test_who_sends_all_before_he_reads_learns_that_it_was_too_large(
    service: Service, *, said: bool
) -> None:
    """Ten megabytes, of which the sockets hold a part."""
    size = 10_000_000
    length = f"content-length: {size}" if said else "transfer-encoding: chunked"
    reader, writer = await asyncio.open_connection(service.client.base_url.host, service.client.base_url.port)
    writer.write(
        f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n".encode()
    )
    for _ in range(10):
        piece = b"x" * (size // 10)
        writer.write(piece if said else b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    if not said:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    writer.close()


async def test_a_body_whose_last_piece_is_the_one_too_many_is_refused_for_its_size(service: Service) -> None:
    reader, writer = await asyncio.open_connection(service.client.base_url.host, service.client.base_url.port)
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (MOST + 1, b"x" * (MOST + 1)))
    await writer.drain()
    assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    writer.close()


async def test_a_byte_order_mark_is_no_part_of_the_first_event(service: Service) -> None:
    assert (await service.post(b"\xef\xbb\xbf" + scan(1))).status_code == 200


async def test_a_busy_intake_asks_to_try_later(service: Service) -> None:
    with service.intake.reserved(64 << 20):
        answer = await service.post(scan(1))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert (await service.post(scan(1))).status_code == 200


async def test_many_errors_are_counted_and_the_first_are_told(service: Service) -> None:
    answer: dict[str, Any] = (await service.post(b"\n".join([b"7"] * 500))).json()
    assert answer["refused"] == 500
    assert len(answer["errors"]) == 100
