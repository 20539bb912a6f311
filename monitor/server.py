"""uvicorn inside the daemon's own loop: bound before anything is announced, drained when told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from monitor.http_protocol import Limits, bounded

LIMITS = Limits()


class PortTaken(Exception):  # noqa: N818 - told to the operator as it is
    """The address cannot be bound; the message says which and what to do."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The daemon owns its signals."""
        yield


def bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; without, a request waits 40 ms for nothing.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortTaken(
            f"cannot listen on {host}:{port}: {error.strerror}; set http.host or http.port"
        ) from None
    listening.listen(2048)
    listening.setblocking(False)
    return listening


@asynccontextmanager
async def serving(
    app: ASGIApp,
    listening: socket.socket,
    *,
    drain_seconds: int = 10,
    limits: Limits = LIMITS,
    proxies: Callable[[], Collection[str]] = tuple,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serves while the context is open; yields the task, so that its death ends the daemon.

    The program sees the address that is connected, be it a proxy's: `monitor/forwarded.py` says whom to believe.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=drain_seconds,
        timeout_keep_alive=30,
        http=bounded(limits, proxies),
        ws="none",
        proxy_headers=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listening]), name="http")
    try:
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        yield task
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listening.close()
