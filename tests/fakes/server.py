"""A real HTTP server on loopback for fakes of providers: a handler, a record of requests, and faults to order.

A fake is a handler: it checks what the provider checks and answers as the provider answers. Faults are of the
network, so they are the same for all.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    target: str  # path and query, as sent
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return Response(
            status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})}
        )


class Fault(Enum):
    HANG = auto()  # the request is read, nothing is done, nothing comes back
    RESET = auto()  # read, then reset
    LOST_REPLY = auto()  # done, then closed without a word
    LOST_REPLY_HANG = auto()  # done, and nothing comes back
    HALF_BODY = auto()  # done, the reply ends in the middle
    DRIP = auto()  # done, the reply comes a byte at a time, without end
    GARBAGE = auto()  # not HTTP


Handler: TypeAlias = Callable[[Request], Response]
Scripted: TypeAlias = Fault | Response


class FakeServer:
    """`async with FakeServer(handler) as server`: requests go to `server.url`.

    What is in `script` answers first, one a request; then the handler does.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.script: deque[Scripted] = deque()
        self.trouble: Callable[[Request], Scripted | None] = lambda _: None  # when the script is empty
        self.requests: list[Request] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                if not await self._reply(request, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may serve another request."""
        step = self.script.popleft() if self.script else self.trouble(request)
        if isinstance(step, Response):
            writer.write(_bytes(step))
            await writer.drain()
            return True
        if step is Fault.HANG:
            await asyncio.Event().wait()
        if step is Fault.RESET:
            return False
        if step is Fault.GARBAGE:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            await writer.drain()
            return False
        whole = _bytes(self.handler(request))
        if step is Fault.LOST_REPLY:
            return False
        if step is Fault.LOST_REPLY_HANG:
            await asyncio.Event().wait()
        if step in {Fault.HALF_BODY, Fault.DRIP}:
            head, _, _ = whole.partition(b"\r\n\r\n")
            head = b"\r\n".join(
                line for line in head.split(b"\r\n") if not line.startswith(b"content-length")
            )
            writer.write(head + b"\r\ncontent-length: 1000000\r\n\r\n{")
            await writer.drain()
            while step is Fault.DRIP:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)  # the fault itself: a provider that drips
            return False
        writer.write(whole)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def _bytes(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} Fake", f"content-length: {len(response.body)}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + response.body
