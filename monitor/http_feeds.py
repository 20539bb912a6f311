"""`POST /v1/feeds/{feed}`: a provider's own webhook. `GET` answers providers that check the URL first.

The size limit holds before the body is read, the signature before anything of it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitor.api import error_response, json_response
from monitor.feeds.base import Push
from monitor.feeds.desk import Desk

ROUTE = "/v1/feeds/{feed}"


class TooLarge(Exception):  # noqa: N818 - the answer to a request, not a failure
    """The body is over the limit."""


def feed_routes(desk: Desk, clock: Callable[[], int], max_body_bytes: int) -> list[BaseRoute]:
    handlers = _Handlers(desk, clock, max_body_bytes)
    return [
        Route("/v1/feeds", handlers.feeds, methods=["GET"]),
        Route(ROUTE, handlers.post, methods=["POST"]),
        Route(ROUTE, handlers.get, methods=["GET"]),
    ]


class _Handlers:
    def __init__(self, desk: Desk, clock: Callable[[], int], max_body_bytes: int) -> None:
        self._desk = desk
        self._clock = clock
        self._max = max_body_bytes
        self._seconds = desk.metrics.histogram("intake_seconds").labels(ROUTE)
        self._requests = desk.metrics.counter("intake_requests")

    async def feeds(self, _request: Request) -> Response:
        now = self._clock()
        return json_response([status.report(now) for status in self._desk.status.values()])

    async def post(self, request: Request) -> Response:
        with self._seconds.time():
            response = await self._post(request)
        self._requests.labels(ROUTE, str(response.status_code)).inc()
        return response

    async def _post(self, request: Request) -> Response:
        feed = self._desk.feeds.get(request.path_params["feed"])
        if feed is None:
            return error_response("no such feed is configured", 404)
        try:
            body = await self._body(request)
        except TooLarge:
            return error_response(f"at most {self._max} bytes a request", 413)
        except ClientDisconnect:
            return error_response("the request ended too early", 400)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]
        }
        push = Push(body, headers, dict(request.query_params), self._clock())
        answer = await self._desk.receive(feed, push)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    async def get(self, request: Request) -> Response:
        feed = self._desk.feeds.get(request.path_params["feed"])
        if feed is None:
            return error_response("no such feed is configured", 404)
        answer = feed.hello(dict(request.query_params))
        if answer is None:
            return error_response("this feed takes POST", 405)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    async def _body(self, request: Request) -> bytes:
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > self._max:
            raise TooLarge
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > self._max:
                raise TooLarge
            parts.append(part)
        return b"".join(parts)
