"""The HTTP interface of the daemon: what others read, and what a person decides.

Reading needs no token on the loopback default, and names neither coupon codes nor customers without it; anything that changes something
needs the bearer token and is audited with the name in `X-Forestall-Actor`. Intake, feeds and the console bring their own routes (`monitor/app.py`).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitor.anonymous import entry_for_all, is_of_customer, story_for_all
from monitor.bodies import TooLarge, bounded_body
from monitor.forwarded import peer
from notifier.store import StoreError, StoreFullError, StoreUnreachableError

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decided something, and from where: what the audit log keeps."""

    name: str
    source: str


class Refused(Exception):  # noqa: N818 - a request was refused, the program did not fail
    """A request that cannot be done; the message is the answer."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class Service(Protocol):
    """What the daemon can tell and do; `monitor/app.py` is it."""

    @property
    def registry(self) -> CollectorRegistry: ...

    def refresh_metrics(self) -> None: ...
    def health(self) -> Json: ...
    async def readiness(self) -> tuple[bool, Json]: ...
    async def status(self) -> Json: ...
    def parcel(self, tracking_number: str) -> Json | None: ...
    async def explain(self, subject: str) -> Json | None: ...
    def incidents_now(self, *, everything: bool) -> Sequence[Json]: ...
    async def outbox(self, state: str | None) -> Sequence[Json]: ...
    async def dead_letters(self, count: int) -> Sequence[Json]: ...
    async def command(self, name: str, arguments: Json, actor: Actor) -> Json: ...


COMMANDS = frozenset(
    {
        "ack",
        "silence",
        "unsilence",
        "snooze",
        "resolve",
        "note",
        "approve",
        "reject",
        "hold",
        "release",
        "kill",
        "resume",
        "outbox-retry",
        "deadletter-drop",
        "deadletter-replay",
    }
)

STATES: Final = (
    "none",
    "held",
    "waiting",
    "pending",
    "sending",
    "done",
    "failed",
    "unknown",
)  # of the outbox


def json_response(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_response(message: str, status: int) -> Response:
    return json_response({"error": message}, status)


def has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def require_token(request: Request, token: str) -> None:
    if not has_token(request, token):
        raise HTTPException(
            401, "a bearer token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
        )


def actor_of(request: Request, origin: Callable[[Request], str]) -> Actor:
    """Whoever holds the token, under the name that they give."""
    name = request.headers.get("x-forestall-actor", "token")[:80]
    return Actor(name, origin(request) or "unknown")


def create_app(
    service: Service,
    token: str,
    more: Sequence[BaseRoute] = (),
    origin: Callable[[Request], str] = peer,
    max_body_bytes: int = 2_000_000,
) -> Starlette:
    """`origin` says whose address goes into the audit log."""
    handlers = _Handlers(service, token, origin, max_body_bytes)
    routes = [
        Route("/metrics", handlers.metrics),
        Route("/healthz", handlers.healthz),
        Route("/readyz", handlers.readyz),
        Route("/v1/status", handlers.status),
        Route("/v1/parcels/{tracking_number:path}", handlers.parcel),
        Route("/v1/explain/{subject:path}", handlers.explain),
        Route("/v1/incidents", handlers.incidents),
        Route("/v1/outbox", handlers.outbox),
        Route("/v1/deadletters", handlers.dead_letters),
        Route("/v1/commands/{name}", handlers.command, methods=["POST"]),
        *more,
    ]
    errors: Mapping[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _http_error,
        Refused: _refused,
        StoreUnreachableError: _store_away,
        StoreFullError: _store_away,
    }
    return Starlette(routes=routes, exception_handlers=errors)


async def _http_error(_request: Request, error: HTTPException) -> Response:
    response = error_response(str(error.detail), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _refused(_request: Request, error: Refused) -> Response:
    return error_response(str(error), error.status)


async def _store_away(_request: Request, error: StoreError) -> Response:
    response = error_response(str(error), 503)
    response.headers["Retry-After"] = "5"
    return response


class _Handlers:
    def __init__(
        self, service: Service, token: str, origin: Callable[[Request], str], max_body_bytes: int
    ) -> None:
        self._service = service
        self._token = token
        self._origin = origin
        self._max = max_body_bytes

    async def metrics(self, request: Request) -> Response:
        self._service.refresh_metrics()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._service.registry), headers={"Content-Type": content_type})

    async def healthz(self, _request: Request) -> Response:
        health = self._service.health()
        return json_response(health, 200 if health["alive"] else 503)

    async def readyz(self, _request: Request) -> Response:
        ready, details = await self._service.readiness()
        return json_response(details, 200 if ready else 503)

    async def status(self, _request: Request) -> Response:
        return json_response(await self._service.status())

    async def parcel(self, request: Request) -> Response:
        found = self._service.parcel(request.path_params["tracking_number"])
        if found is None:
            return error_response("this tracking number is not among the live parcels", 404)
        return json_response(found)

    async def explain(self, request: Request) -> Response:
        found = await self._service.explain(request.path_params["subject"])
        trusted = has_token(request, self._token)
        if found is None or (not trusted and is_of_customer(found)):
            more = "" if trusted else "; what is known of customers needs the token"
            text = f"nothing is known of this id: no parcel, order, finding, incident or action{more}"
            return error_response(text, 404)
        return json_response(found if trusted else story_for_all(found))

    async def incidents(self, request: Request) -> Response:
        return json_response(self._service.incidents_now(everything=request.query_params.get("all") == "1"))

    async def outbox(self, request: Request) -> Response:
        state = request.query_params.get("state")
        if state is not None and state not in STATES:
            raise HTTPException(400, f"state: one of {', '.join(STATES)}")
        found = await self._service.outbox(state)
        return json_response(found if has_token(request, self._token) else list(map(entry_for_all, found)))

    async def dead_letters(self, request: Request) -> Response:
        require_token(request, self._token)  # they hold raw payloads, so personal data
        return json_response(await self._service.dead_letters(_count(request)))

    async def command(self, request: Request) -> Response:
        require_token(request, self._token)
        name = request.path_params["name"]
        if name not in COMMANDS:
            return error_response(f"no such command; known: {', '.join(sorted(COMMANDS))}", 404)
        try:
            body = await bounded_body(request, self._max)
            arguments = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        except TooLarge:
            return error_response(f"at most {self._max} bytes a request", 413)
        except ClientDisconnect:
            return error_response("the request ended too early", 400)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return error_response(f"the body is not a JSON object: {error}", 400)
        return json_response(await self._service.command(name, arguments, actor_of(request, self._origin)))


def _count(request: Request) -> int:
    text = request.query_params.get("count", "100")
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise HTTPException(400, "count: a whole number from 1 to 10000")
    return int(text)
