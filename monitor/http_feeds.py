"""`POST /v1/feeds/{feed}`: a provider's own webhook. `GET` answers providers that check the URL first.

The size limit holds before the body is read, the signature before anything of it is looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from monitor.api import Actor, actor_of, error_response, json_response, require_token
from monitor.bodies import NoRoom, Room, TooLarge, bounded_body
from monitor.feeds.base import Answer, Feed, Push
from monitor.feeds.desk import Desk, busy
from monitor.forwarded import peer

ROUTE = "/v1/feeds/{feed}"
MOST_UNVERIFIED_BYTES: Final = 32 << 20
Audited = Callable[[str, str, str, Actor], Awaitable[None]]  # event, about, why, who


class Correct(Protocol):
    """`monitor.feeds.classify.Classifier`."""

    def correct(
        self,
        complaint_id: str,
        *,
        reason: str | None = None,
        category: str | None = None,
        severity: str | None = None,
        text: str | None = None,
    ) -> None: ...


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    reason: str | None = None
    category: Literal["product", "logistics", "service", "order", "unknown"] | None = None
    severity: Literal["general", "important", "major"] | None = None
    text: str | None = None


def feed_routes(
    desk: Desk,
    clock: Callable[[], int],
    max_body_bytes: int,
    *,
    token: str = "",
    classifier: Correct | None = None,
    audit: Audited | None = None,
    origin: Callable[[Request], str] = peer,
    room: Room | None = None,
) -> list[BaseRoute]:
    """`token` is the bearer token of what changes something; webhooks have their own signatures. `audit` is told of it."""
    handlers = _Handlers(desk, clock, max_body_bytes, room or Room(MOST_UNVERIFIED_BYTES))
    corrections = _Corrections(token, classifier, max_body_bytes, audit, origin)
    return [
        Route("/v1/complaints/{complaint}/correct", corrections.post, methods=["POST"]),
        Route("/v1/feeds", handlers.feeds, methods=["GET"]),
        Route(ROUTE, handlers, methods=["GET", "POST"]),
    ]


class _Corrections:
    def __init__(
        self,
        token: str,
        classifier: Correct | None,
        max_body_bytes: int,
        audit: Audited | None,
        origin: Callable[[Request], str],
    ) -> None:
        self._token = token
        self._classifier = classifier
        self._max = max_body_bytes
        self._audit = audit
        self._origin = origin

    async def post(self, request: Request) -> Response:
        if not self._token:
            return error_response("no token is configured", 401)
        require_token(request, self._token)
        try:
            said = msgspec.json.decode(await bounded_body(request, self._max), type=Correction)
        except TooLarge:
            return error_response(f"at most {self._max} bytes a request", 413)
        except ClientDisconnect:
            return error_response("the request ended too early", 400)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return error_response(f"the body is no correction: {error}", 400)
        if self._classifier is None:
            return error_response("no reader of complaints is running", 404)
        if said.reason is None and said.severity is None:
            return error_response("a correction says reason or severity", 400)
        try:
            self._classifier.correct(
                request.path_params["complaint"],
                reason=said.reason[:40] if said.reason else None,
                category=said.category,
                severity=said.severity,
                text=said.text,
            )
        except LookupError as error:
            return error_response(str(error), 404)
        if self._audit is not None:  # its text is the customer's: it is not kept
            why = f"reason {said.reason}, severity {said.severity}, category {said.category}"[:200]
            complaint = request.path_params["complaint"][:200]
            await self._audit("correct", complaint, why, actor_of(request, self._origin))
        return json_response({"learned": True})


class _Handlers:
    """The webhook route speaks ASGI itself: the framework's request and response would cost as much as all the rest."""

    def __init__(self, desk: Desk, clock: Callable[[], int], max_body_bytes: int, room: Room) -> None:
        self._desk = desk
        self._clock = clock
        self._max = max_body_bytes
        self._room = room
        self._seconds = desk.metrics.histogram("intake_seconds").labels(ROUTE)
        self._requests = desk.metrics.counter("intake_requests")

    async def feeds(self, _request: Request) -> Response:
        now = self._clock()
        return json_response([status.report(now) for status in self._desk.status.values()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seconds.time():
            feed = self._desk.feeds.get(scope["path_params"]["feed"])
            if feed is None:
                answer = _error("no such feed is configured", 404)
            elif scope["method"] == "POST":
                answer = await self._post(feed, scope, receive)
            else:
                answer = feed.hello(_query(scope)) or _error("this feed takes POST", 405)
        self._requests.labels(ROUTE, str(answer.status)).inc()
        headers = [
            (b"content-length", str(len(answer.body)).encode()),
            (b"content-type", answer.media_type.encode()),
            *((name.encode(), value.encode()) for name, value in answer.headers.items()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _post(self, feed: Feed, scope: Scope, receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        said = headers.get("content-length", "")
        if said.isdecimal() and int(said) > self._max:
            return self._too_large()
        with self._room.share() as share:
            body = b""
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return _error("the request ended too early", 400)
                part = message.get("body", b"")
                if len(body) + len(part) > self._max:
                    return self._too_large()
                try:
                    share.take(len(part))
                except NoRoom:
                    return busy(feed, Push(b"", headers, _query(scope), self._clock()))
                body += part
                if not message.get("more_body", False):
                    break
            return await self._desk.receive(feed, Push(body, headers, _query(scope), self._clock()))

    def _too_large(self) -> Answer:
        return _error(f"at most {self._max} bytes a request", 413)


def _error(message: str, status: int) -> Answer:
    return Answer(status, msgspec.json.encode({"error": message}))


def _query(scope: Scope) -> dict[str, str]:
    text = scope["query_string"]
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {}
