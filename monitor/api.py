"""The HTTP interface of the daemon: what others read, and what a person decides.

Reading needs no token on the loopback default; anything that changes something needs the bearer token and is audited
with the name in `X-Forestall-Actor`. Intake, feeds and the console bring their own routes (`monitor/app.py`).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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


def json_response(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_response(message: str, status: int) -> Response:
    return json_response({"error": message}, status)


def require_token(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise HTTPException(
            401, "a bearer token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
        )


def create_app(service: Service, token: str, more: Sequence[BaseRoute] = ()) -> Starlette:
    handlers = _Handlers(service, token)
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
    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._token = token

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
        if found is None:
            return error_response(
                "nothing is known of this id: no parcel, order, finding, incident or action", 404
            )
        return json_response(found)

    async def incidents(self, request: Request) -> Response:
        return json_response(self._service.incidents_now(everything=request.query_params.get("all") == "1"))

    async def outbox(self, request: Request) -> Response:
        return json_response(await self._service.outbox(request.query_params.get("state")))

    async def dead_letters(self, request: Request) -> Response:
        require_token(request, self._token)  # they hold raw payloads, so personal data
        return json_response(await self._service.dead_letters(_count(request)))

    async def command(self, request: Request) -> Response:
        require_token(request, self._token)
        name = request.path_params["name"]
        if name not in COMMANDS:
            return error_response(f"no such command; known: {', '.join(sorted(COMMANDS))}", 404)
        try:
            arguments = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            return error_response(f"the body is not a JSON object: {error}", 400)
        actor = Actor(
            name=request.headers.get("x-forestall-actor", "token")[:80],
            source=request.client.host if request.client else "unknown",
        )
        return json_response(await self._service.command(name, arguments, actor))


def _count(request: Request) -> int:
    text = request.query_params.get("count", "100")
    if not text.isdigit() or not 0 < int(text) <= 10_000:
        raise HTTPException(400, "count: a whole number from 1 to 10000")
    return int(text)
