"""What the daemon's address answers before there is a daemon: that its process lives, and what it waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor import __version__
from monitor.api import error_response, json_response
from monitor.server import bind, serving

WHY: Final = "kernels are being compiled or loaded; the first start takes up to a minute"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
RETRY_SECONDS: Final = "5"


@asynccontextmanager
async def answering(host: str, port: int) -> AsyncIterator[None]:
    """`/healthz` and `/readyz` as the daemon would, and to all else that it is to be asked again. The address is free
    again afterwards. Raises `PortTaken`, which is better known before a minute of compiling than after.
    """

    async def healthz(_request: Request) -> Response:
        return json_response({"alive": True, "version": __version__})

    async def readyz(_request: Request) -> Response:
        return json_response({"ready": False, "why": WHY}, 503)

    async def later(_request: Request) -> Response:
        answer = error_response(WHY, 503)
        answer.headers["Retry-After"] = RETRY_SECONDS
        return answer

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/{path:path}", later, methods=METHODS),
    ]
    app = Starlette(routes=routes)
    async with serving(app, bind(host, port), drain_seconds=1):
        yield
