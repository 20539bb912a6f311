"""HTTP/1.1 that does not wait for ever nor keep what never ends: uvicorn's own protocol, with bounds around it.

The parser has no limit on headers, and the server none on how long a request takes to come. Here whoever sends nothing,
too slowly, or headers without end is answered and closed before anything of the program runs.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOCAL: Final = frozenset({"127.0.0.1", "::1"})
MOST_PIPELINED: Final = 16  # requests that wait behind one that is being answered


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of the loop's clock. `head_bytes`: also of what comes between and after the pieces of a body.

    A body may take `body_seconds`, and longer as long as it brings `least_rate` bytes a second. Of an answer some must be
    read in `read_seconds`.
    """

    connections: int = 512
    an_address: int = 256  # of them; not of this machine's own, nor of a proxy's, which stand for many
    head_bytes: int = 65_536
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    least_rate: int = 16_384
    read_seconds: float = 30.0


@dataclass(slots=True)
class Peers:
    """Who is connected, how often. `proxies`, and this machine, stand for many and are not counted."""

    proxies: Callable[[], Collection[str]]
    _open: Counter[str] = field(default_factory=Counter)

    def added(self, host: str) -> int:
        """How many its network has now."""
        address = _network_of(host)
        self._open[address] += 1
        plain = _plain(host)
        return 0 if plain in LOCAL or plain in self.proxies() else self._open[address]

    def gone(self, host: str) -> None:
        address = _network_of(host)
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class _TooManyError(Exception):
    """More requests at once on one connection than anybody's client sends."""


class BoundedProtocol(HttpToolsProtocol):
    limits: ClassVar[Limits] = Limits()
    peers: ClassVar[Peers]

    _address: str = ""
    _alarm: TimerHandle | None = None
    _since: float = 0.0  # when what is waited for began
    _step: int = 0  # how many beginnings and ends of heads and bodies there were
    _head: bool = False  # a request has begun, and its headers are not complete
    _body: int | None = None  # bytes of the body so far; None while no body is on its way
    _outside: int = 0  # bytes since the last that were part of a body
    _reading: TimerHandle | None = None
    _unread: int = 0  # bytes of answers that the client had yet to read when it was last looked at

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        full = len(self.connections) >= self.limits.connections
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if self.peers.added(self._address) > self.limits.an_address or full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._wait(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._reading is not None:
            self._reading.cancel()
        self.peers.gone(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._step
        self._outside += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._outside > self.limits.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._step != before:
            self._wait_for_more()
        elif self._alarm is None and not self._answering:
            self._wait(self.limits.head_seconds)  # line ends before a request are none

    # what the parser says

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise _TooManyError(_TooManyError.__doc__)
        super().on_message_begin()
        self._step, self._head = self._step + 1, True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._step, self._head, self._body, self._outside = self._step + 1, False, 0, 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._body, self._outside = (self._body or 0) + len(body), 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._step, self._body, self._outside = self._step + 1, None, 0

    # answers

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reading is None:
            self._watch_reading()

    def _watch_reading(self) -> None:
        """Else an answer that nobody reads is kept for ever: closing waits until it is sent."""
        self._reading = None
        left = self._left_unread()
        if left:
            self._unread = left
            self._reading = self.loop.call_later(self.limits.read_seconds, self._look)

    def _look(self) -> None:
        if self._left_unread() < self._unread:
            self._watch_reading()
        else:
            self.transport.abort()

    def _left_unread(self) -> int:
        try:
            return self.transport.get_write_buffer_size()
        except RuntimeError:  # uvloop's, of a connection that is gone
            return 0

    # time

    @property
    def _answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _wait_for_more(self) -> None:
        if self._head:
            self._wait(self.limits.head_seconds)
        elif self._body is not None:
            self._wait(self.limits.body_seconds)
        else:
            self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._since = self.loop.time()
        self._alarm = self.loop.call_later(seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        self._alarm = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused or (self._body is None and self._answering):
            self._wait(self.limits.body_seconds)  # it is we who do not read, or do not answer
        elif self._answering and (left := self._left()) > 0:
            self._alarm = self.loop.call_later(left, self._late)
        elif self._head or self._body is not None:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()  # it never began

    def _left(self) -> float:
        """Seconds that a body of this size may still take."""
        allowed = self.limits.body_seconds + (self._body or 0) / self.limits.least_rate
        return self._since + allowed - self.loop.time()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answers in place of the program, where it has not begun to and owes nobody else an answer; and closes."""
        self._stop_waiting()
        owed = self._answering if self._body is None else self.cycle.response_started
        if not owed:
            self.transport.write(_answer(status))
        self.transport.close()


REFUSALS: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: "too many connections",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the headers are too large",
    HTTPStatus.REQUEST_TIMEOUT: "the request took too long to come",
}


def _answer(status: HTTPStatus) -> bytes:
    body = f'{{"error":"{REFUSALS[status]}"}}'
    again = "retry-after: 5\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n{again}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}"
    ).encode("ascii")


def bounded(limits: Limits, proxies: Callable[[], Collection[str]] = tuple) -> type[BoundedProtocol]:
    """`proxies`: addresses that may hold all connections."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits, "peers": Peers(proxies)})


def _plain(host: str) -> str:
    """As a config writes it: an IPv4 address as one, and without the interface."""
    return (host.removeprefix("::ffff:") if "." in host else host).partition("%")[0]


def _network_of(host: str) -> str:
    """Whom it counts for: of IPv6 the network, as one customer's router has 2 to the 64 addresses."""
    try:
        address = ip_address(_plain(host))
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)
