"""The server as the daemon opens it, against clients that never end, are slow, or stand behind a proxy. Real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor.http_protocol import LOCAL, Limits, Peers, _network_of
from monitor.server import bind, serving

pytestmark = pytest.mark.anyio
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
SOON = 0.05
LARGE = 30_000_000  # more than the buffers of two sockets


class Site:
    """Counts what reaches the program."""

    def __init__(self) -> None:
        self.bodies: list[int] = []
        self.broken = asyncio.Event()
        self.go_on = asyncio.Event()
        routes = [
            Route("/", self.read, methods=["GET", "POST"]),
            Route("/wait", self.wait),
            Route("/early", self.early, methods=["POST"]),
            Route("/large", self.large),
        ]
        self.app = Starlette(routes=routes)

    async def read(self, request: Request) -> Response:
        try:
            self.bodies.append(len(await request.body()))
        except ClientDisconnect:
            self.broken.set()
        return JSONResponse(request.client.host if request.client else None)

    async def wait(self, _request: Request) -> Response:
        await self.go_on.wait()
        return Response("done")

    async def early(self, _request: Request) -> Response:
        return Response(status_code=413)

    async def large(self, _request: Request) -> Response:
        return Response(b"x" * LARGE)


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the server closes; a reset ends it as well."""
        got = b""
        try:
            async with asyncio.timeout(60):
                while data := await self.reader.read(65_536):
                    got += data
        except ConnectionError:
            pass
        return got


class Server:
    def __init__(self, site: Site, port: int) -> None:
        self.site, self._port, self._lines = site, port, list[Line]()

    async def line(self, address: str = "127.0.0.1") -> Line:
        """From this address."""
        connected = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self._lines.append(Line(*connected))
        return self._lines[-1]

    async def close(self) -> None:
        for line in self._lines:
            line.writer.close()


@asynccontextmanager
async def server(limits: Limits | None = None, proxies: tuple[str, ...] = ()) -> AsyncIterator[Server]:
    site, listening = Site(), bind("127.0.0.1", 0)
    limits = limits or Limits()
    async with serving(site.app, listening, limits=limits, drain_seconds=1, proxies=lambda: proxies):
        running = Server(site, listening.getsockname()[1])
        yield running
        await running.close()


@pytest.mark.parametrize(
    "piece",
    [
        b"".join(b"X-%04d: %s\r\n" % (number, b"b" * 900) for number in range(1000)),
        b"X-Endless: " + b"b" * 1_000_000,
    ],
)
async def test_headers_without_end_are_refused_at_64_kib(piece: bytes) -> None:
    async with server() as running:
        line = await running.line()
        await line.send(GET)
        line.writer.write(piece)
        assert (await line.rest()).startswith(b"HTTP/1.1 431 ")
        assert running.site.bodies == []


async def test_nor_may_a_bodys_trailers_and_extensions_be_without_end() -> None:
    for piece in (b"0\r\n" + b"X-T: %s\r\n" % (b"b" * 900) * 500, b"1;ext=" + b"b" * 500_000):
        async with server() as running:
            line = await running.line()
            await line.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            line.writer.write(piece)
            assert (await line.rest()).startswith(b"HTTP/1.1 431 ")
            assert running.site.bodies == []


async def test_large_headers_and_a_large_body_within_the_limits_are_taken() -> None:
    async with server() as running:
        line = await running.line()
        head = (
            b"POST / HTTP/1.1\r\nHost: x\r\nX-A: %s\r\nContent-Length: 3000000\r\nConnection: close\r\n\r\n"
        )
        await line.send(head % (b"b" * 50_000))
        await line.send(b"c" * 3_000_000)
        assert (await line.rest()).startswith(b"HTTP/1.1 200 ")
        assert running.site.bodies == [3_000_000]


@pytest.mark.parametrize("begin", [b"", b"\r\n", b"GET / HT", GET])
async def test_who_never_ends_the_headers_is_closed(begin: bytes) -> None:
    async with server(Limits(head_seconds=SOON)) as running:
        line = await running.line()
        await line.send(begin)
        answer = await line.rest()
        assert answer.startswith(b"HTTP/1.1 408 ") if begin.strip() else answer == b""


async def test_who_never_ends_a_second_request_is_closed_too() -> None:
    async with server(Limits(head_seconds=SOON)) as running:
        line = await running.line()
        await line.send(GET + b"\r\n")
        await line.send(GET)
        answers = await line.rest()
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert answers.count(b"HTTP/1.1 408 ") == 1


async def test_who_never_ends_the_body_is_closed_and_the_program_hears_of_it() -> None:
    async with server(Limits(body_seconds=SOON)) as running:
        line = await running.line()
        await line.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert (await line.rest()).startswith(b"HTTP/1.1 408 ")
        async with asyncio.timeout(60):
            await running.site.broken.wait()
        assert running.site.bodies == []


async def test_a_body_that_keeps_coming_may_take_longer() -> None:
    """At one byte a second each of these pays for more time than the test has."""
    async with server(Limits(body_seconds=SOON, least_rate=1)) as running:
        line = await running.line()
        await line.send(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n")
        await line.send(b"a" * 1000)
        other = await running.line()  # its time passes while the body waits
        await other.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert (await other.rest()).startswith(b"HTTP/1.1 408 ")
        await line.send(b"a" * 1000)
        assert (await line.rest()).startswith(b"HTTP/1.1 200 ")
        assert running.site.bodies == [2000]


async def test_a_body_that_was_refused_early_is_not_waited_for_and_not_answered_twice() -> None:
    async with server(Limits(body_seconds=SOON, least_rate=1)) as running:
        line = await running.line()
        await line.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"a" * 5000)
        answer = await line.rest()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.count(b"HTTP/1.1") == 1


async def test_an_answer_may_take_as_long_as_it_takes() -> None:
    """Also where the beginning of a next request waits behind it."""
    async with server(Limits(head_seconds=SOON, body_seconds=SOON)) as running:
        line = await running.line()
        await line.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HT")
        other = await running.line()
        assert await other.rest() == b""
        other = await running.line()
        assert await other.rest() == b""
        running.site.go_on.set()
        async with asyncio.timeout(60):
            assert (await line.reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("ending", [b"", b"Connection: close\r\n"])
async def test_an_answer_that_nobody_reads_is_given_up(ending: bytes) -> None:
    async with server(Limits(connections=2, read_seconds=SOON)) as running:
        line = await running.line()
        await line.send(b"GET /large HTTP/1.1\r\nHost: x\r\n" + ending + b"\r\n")
        await line.reader.readuntil(b"\r\n\r\n")
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        other = await running.line()
        answer = b""
        async with asyncio.timeout(60):
            while not answer.startswith(b"HTTP/1.1 200 "):  # until there is room for a third
                await other.send(GET + b"\r\n")
                await other.reader.readuntil(b'"127.0.0.1"')
                third = await running.line()
                await third.send(GET + b"Connection: close\r\n\r\n")
                answer = await third.rest()


async def test_an_answer_that_is_read_in_the_end_is_whole() -> None:
    async with server(Limits(read_seconds=1000)) as running:
        line = await running.line()
        await line.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len((await line.rest()).partition(b"\r\n\r\n")[2]) == LARGE


async def test_beyond_the_most_connections_one_is_told_to_come_again() -> None:
    async with server(Limits(connections=2)) as running:
        first, second, third = [await running.line() for _ in range(3)]
        assert (await third.rest()).startswith(b"HTTP/1.1 503 ")
        for line in (first, second):
            await line.send(GET + b"Connection: close\r\n\r\n")
            assert (await line.rest()).startswith(b"HTTP/1.1 200 ")
        await (fourth := await running.line()).send(GET + b"Connection: close\r\n\r\n")
        assert (await fourth.rest()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("proxies", "answer"), [((), b"HTTP/1.1 503 "), (("127.0.0.2",), b"HTTP/1.1 200 ")])
async def test_one_address_cannot_take_every_connection_unless_it_is_a_proxy(
    proxies: tuple[str, ...], answer: bytes
) -> None:
    async with server(Limits(an_address=2), proxies) as running:
        lines = [await running.line("127.0.0.2") for _ in range(3)]
        for line in lines[:2]:
            await line.send(GET + b"\r\n")
            await line.reader.readuntil(b'"127.0.0.2"')
        await lines[2].send(GET + b"Connection: close\r\n\r\n")
        assert (await lines[2].rest()).startswith(answer)
        for address in ("127.0.0.3", "127.0.0.1", "127.0.0.1", "127.0.0.1"):  # others, and this machine
            await (other := await running.line(address)).send(GET + b"\r\n")
            assert b" 200 " in await other.reader.readuntil(f'"{address}"'.encode())
        await lines[0].send(GET + b"Connection: close\r\n\r\n")
        await lines[0].rest()
        await (again := await running.line("127.0.0.2")).send(GET + b"Connection: close\r\n\r\n")
        assert (await again.rest()).startswith(b"HTTP/1.1 200 "), "there is room again"


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:1"), ("::ffff:203.0.113.9", "203.0.113.9"), ("fe80::1%eth0", "fe80::2")],
)
def test_whom_a_connection_counts_for(one: str, other: str) -> None:
    assert _network_of(one) == _network_of(other)
    assert _network_of("2001:db8:1::1") != _network_of("2001:db8:2::1")
    assert _network_of("::1") in LOCAL


async def test_thousands_of_requests_at_once_on_one_connection_end_it() -> None:
    async with server() as running:
        line = await running.line()
        line.writer.write((GET + b"\r\n") * 5000)
        await line.rest()
        assert len(running.site.bodies) < 100


async def test_the_program_sees_who_is_connected_and_not_what_a_header_says() -> None:
    async with server() as running:
        line = await running.line()
        await line.send(GET + b"X-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n")
        assert (await line.rest()).endswith(b'"127.0.0.1"')


def test_a_proxy_with_an_address_of_ipv6_is_one() -> None:
    peers = Peers(lambda: ("fd00::10",))
    assert [peers.added("fd00::10") for _ in range(3)] == [0, 0, 0]
    assert [peers.added(one) for one in ("fd00::11", "fd00::12")] == [4, 5], "its neighbours are customers"
