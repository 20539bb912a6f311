"""`POST /v1/events`: one event, an array of events, or NDJSON, behind a bearer token.

200  {"accepted": 3}                                                    all are durable
422  {"accepted": 2, "refused": 1, "errors": [{"index": 1, "reason": "bad_time", "detail": "..."}]}
the good ones are durable all the same
400  not JSON at all      401  token      413  too large      415  compressed
503  Retry-After          nothing is promised: send it again
"""

from __future__ import annotations

import codecs
import contextlib
import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.elements import elements
from monitor.intake import Intake, IntakeBusyError, Receipt
from monitor.metrics import Metrics

_TOO_LARGE: Final = 413
HEARD_OUT: Final = 64 << 20  # bytes of a request that is refused for its size
MOST_ERRORS: Final = 100  # told one by one; the rest is counted
ROUTE: Final = "/v1/events"
SENDER: Final = "http"  # in dead letters: all who send here have one token


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class EventsEndpoint:
    """`clock` gives milliseconds UTC; `token` None refuses everyone."""

    def __init__(
        self,
        intake: Intake,
        *,
        token: str | None,
        clock: Callable[[], int],
        max_body_bytes: int,
        metrics: Metrics,
    ) -> None:
        self._intake = intake
        self._token = token
        self._clock = clock
        self._most = max_body_bytes
        self._requests = metrics.counter("intake_requests")
        self._seconds = metrics.histogram("intake_seconds").labels(ROUTE)

    def route(self) -> Route:
        return Route(ROUTE, self.handle, methods=["POST"])

    async def handle(self, request: Request) -> Response:
        with self._seconds.time():
            try:
                response = await self._answer(request)
            except _RefusedError as error:
                if error.status == _TOO_LARGE:
                    await _heard_out(request)
                response = _json({"error": str(error)}, error.status, error.headers)
            except IntakeBusyError as error:
                response = _json({"error": str(error)}, 503, {"Retry-After": str(error.retry_after)})
        self._requests.labels(ROUTE, str(response.status_code)).inc()
        return response

    async def _answer(self, request: Request) -> Response:
        self._authorise(request)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise _RefusedError(415, "send the events uncompressed")
        length = self._length(request)
        with self._intake.reserved(length):
            lines = as_lines(await self._body(request))
            receipt = await self._intake.submit(lines, self._clock(), SENDER, told=True)
        return _told(receipt)

    def _authorise(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = (self._token or "").encode()
        # Compared even where there is nothing to compare: how long it takes tells nothing.
        same = hmac.compare_digest(given.strip().encode(), right)
        if not (same and right and scheme.lower() == "bearer"):
            raise _RefusedError(
                401, "a bearer token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )

    def _length(self, request: Request) -> int:
        text = request.headers.get("content-length", "")
        length = int(text) if text.isdecimal() else self._most
        if length > self._most:
            raise _RefusedError(_TOO_LARGE, f"at most {self._most} bytes a request")
        return length

    async def _body(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._most:
                    raise _RefusedError(_TOO_LARGE, f"at most {self._most} bytes a request")
                chunks.append(chunk)
        except ClientDisconnect:
            raise _RefusedError(400, "the request ended too early") from None
        return b"".join(chunks)


async def _heard_out(request: Request) -> None:
    """Most clients read no answer before they have sent all: to hang up would look like a broken connection. Keeps nothing."""
    left = HEARD_OUT
    # RuntimeError: the library's word for a body of which the last piece was the one too many.
    with contextlib.suppress(ClientDisconnect, RuntimeError):
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                return


def as_lines(body: bytes) -> bytes:
    """NDJSON of what may be one event (perhaps over several lines), an array, or NDJSON already."""
    body = body.removeprefix(codecs.BOM_UTF8)  # spreadsheets and some shells write one
    start = body[:64].lstrip()[:1]
    if not body.strip():
        raise _RefusedError(400, "the body is empty: send an event, an array of events, or NDJSON")
    try:
        if start == b"[":
            return b"\n".join(
                _on_one_line(bytes(raw)) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])
            )
        if start == b"{" and b"\n" in body.strip():
            return _on_one_line(bytes(msgspec.json.decode(body, type=msgspec.Raw)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if start == b"[":
            return _one_by_one(body, str(error))
    return body


def _one_by_one(body: bytes, why: str) -> bytes:
    """An array of which something is no JSON: the others of the same request are taken all the same."""
    try:
        # Within a text a carriage return is as wrong as the line end was: what is no JSON does not become some.
        return b"\n".join(one.replace(b"\n", b"\r") for one in elements(body))
    except ValueError:
        raise _RefusedError(400, f"the body begins as a JSON array and is none: {why}") from None


def _on_one_line(event: bytes) -> bytes:
    return msgspec.json.format(event, indent=-1) if b"\n" in event else event


def _told(receipt: Receipt) -> Response:
    if not receipt.dead:
        return _json({"accepted": receipt.accepted}, 200)
    answer: dict[str, Any] = {
        "accepted": receipt.accepted,
        "refused": len(receipt.dead),
        "errors": [
            {"index": one.index, "reason": one.reason, "detail": one.detail}
            for one in receipt.dead[:MOST_ERRORS]
        ],
    }
    if receipt.poisoned:
        answer["warning"] = "most of what comes here is invalid: only a sample of it is kept as dead letters"
    return _json(answer, 422)


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
