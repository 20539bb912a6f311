"""Stand-ins for the shop's providers, for the demo: message gateway, coupon shop, ops chat, and a page that shows them.

They behave like real ones: signatures are checked, a repeated request changes nothing, and a share of requests fails in
each of the ways in which providers fail. What happened is on `/`: what customers and the ops team would have seen.
Everything is in memory, and only the newest few hundred of each kind are kept for showing; coupons are all kept.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from notifier import standard_webhooks

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
TOLERANCE_MS = 300_000
SHOWN = 300
REMEMBERED = 100_000
PAGE = 200


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of the requests, in this order: 503 with nothing done; done, but the answer is an error; 429; slow."""

    refused: float = 0.0
    lost: float = 0.0
    limited: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.5


@dataclass(slots=True)
class Counts:
    messages: int = 0
    coupons: int = 0
    amount: int = 0  # minor units of all coupons
    alerts: int = 0
    tasks: int = 0  # for the shop's own desk: faster shipping, tickets, special care
    repeated: int = 0  # requests that were known already, and changed nothing
    failed: int = 0  # requests that a fault hit
    rejected: int = 0  # bad signatures and bad bodies


@dataclass(slots=True)
class Shown:
    """What the page draws: one item a message, coupon, alert or line of the narrator, newest last."""

    messages: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    coupons: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    alerts: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    story: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))


class Standin:
    """`secret` is what the channels sign with; `clock` (ms) must be the daemon's, or signatures look too old."""

    def __init__(
        self,
        secret: str,
        clock: Callable[[], int],
        faults: Faults | None = None,
        seed: int = 0,
        *,
        tolerance_ms: int = TOLERANCE_MS,
    ) -> None:
        self._secret, self._clock, self._tolerance = secret, clock, tolerance_ms
        self._faults = faults or Faults()
        self._rng = random.Random(seed)
        self._coupons: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, str] = {}  # idempotency key to answer id
        self.counts = Counts()
        self.shown = Shown()
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/state.json", self._state),
                Route("/healthz", self._health),
                Route("/messages", self._faulty(self._message), methods=["POST"]),
                Route("/desk", self._faulty(self._message), methods=["POST"]),
                Route("/coupons", self._faulty(self._issue), methods=["POST"]),
                Route("/coupons", self._list, methods=["GET"]),
                Route("/coupons/{code}", self._find, methods=["GET"]),
                Route("/ops", self._faulty(self._alert), methods=["POST"]),
            ]
        )

    def narrate(self, at: int, zh: str, en: str) -> None:
        """A line about what really goes wrong in the world, beside what Forestall made of it."""
        self.shown.story.append({"at": at, "zh": zh, "en": en})

    def _faulty(self, handle: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            refused, lost, limited, slow = (self._rng.random() for _ in range(4))
            if refused < self._faults.refused:
                self.counts.failed += 1
                return JSONResponse({"error": "unavailable"}, 503)
            if limited < self._faults.limited:
                self.counts.failed += 1
                return JSONResponse({"error": "slow down"}, 429, headers={"retry-after": "1"})
            if slow < self._faults.slow:
                await asyncio.sleep(self._faults.slow_seconds)
            response = await handle(request)
            if response.status_code < 300 and lost < self._faults.lost:
                self.counts.failed += 1
                return JSONResponse({"error": "bad gateway"}, 502)
            return response

        return answer

    async def _signed(self, request: Request) -> Response | None:
        """The refusal of a request whose Standard Webhooks signature does not hold, None where it does."""
        headers, body = request.headers, await request.body()
        identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        error = None
        if not identity or not sent.isdecimal() or "webhook-signature" not in headers:
            error = "missing signature"
        elif abs(int(sent) * 1000 - self._clock()) > self._tolerance:
            error = "timestamp"
        else:
            expected = standard_webhooks.signature(self._secret, identity, int(sent), body)
            given = headers["webhook-signature"].split(" ")
            error = None if any(hmac.compare_digest(expected, one) for one in given) else "signature"
        if error is None:
            return None
        self.counts.rejected += 1
        return JSONResponse({"error": error}, 401)

    async def _object(self, request: Request) -> dict[str, Any] | None:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return None
        return asked if isinstance(asked, dict) else None

    def _bad(self, error: str, status: int = 422) -> Response:
        self.counts.rejected += 1
        return JSONResponse({"error": error}, status)

    async def _message(self, request: Request) -> Response:
        if refusal := await self._signed(request):
            return refusal
        asked = await self._object(request)
        data = asked.get("data") if asked else None
        if not isinstance(data, dict) or not (data.get("body") or data.get("template")):
            return self._bad("no message")
        key = request.headers["webhook-id"]
        if key in self._seen:
            self.counts.repeated += 1
            return JSONResponse({"id": self._seen[key]})
        if len(self._seen) >= REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = f"m-{len(self._seen) + 1}"
        if request.url.path == "/desk":
            self.counts.tasks += 1
        elif data.get("customer_id"):
            self.counts.messages += 1
            self.shown.messages.append(self._for_phone(data))
        else:
            self.counts.alerts += 1
            self.shown.alerts.append(self._for_chat(data))
        return JSONResponse({"id": self._seen[key]}, 202)

    def _for_phone(self, data: dict[str, Any]) -> dict[str, Any]:
        recipient = data.get("recipient")
        contact = recipient if isinstance(recipient, dict) else {}
        to = str(contact.get("phone") or contact.get("email") or data["customer_id"])
        return {
            "at": self._clock(),
            "to": f"{to[:6]}…{to[-3:]}",
            "title": str(data.get("title", "")),
            "body": str(data.get("body", "")),
            "order": str(data.get("order_id", "")),
            "coupon": str(data.get("coupon_code", "")),
            "template": str(data.get("template", "")),
            "link": str(data.get("link", "")),
        }

    def _for_chat(self, data: dict[str, Any]) -> dict[str, Any]:
        """An ops message that came by the signed webhook instead of the chat."""
        fields = [
            f"*{f.get('name')}*\n{f.get('value')}" for f in data.get("fields", []) if isinstance(f, dict)
        ]
        return {
            "at": self._clock(),
            "title": str(data.get("title", "")),
            "severity": str(data.get("severity", "")),
            "parts": [
                {"kind": "text", "text": str(data.get("body", ""))},
                {"kind": "fields", "fields": fields},
            ],
        }

    async def _issue(self, request: Request) -> Response:
        if refusal := await self._signed(request):
            return refusal
        asked = await self._object(request)
        if asked is None or {"code", "amount", "currency", "intent", "expires_at"} - asked.keys():
            return self._bad("missing fields")
        amount = asked["amount"]
        if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
            return self._bad("amount")
        code = str(asked["code"]).upper()
        known = self._coupons.get(code)
        if known is not None:
            self.counts.repeated += 1
            status = 200 if known["intent"] == asked["intent"] else 409
            return JSONResponse(
                {"code": code, "intent": known["intent"]} if status == 200 else {"error": "exists"}, status
            )
        self._coupons[code] = {"code": code, "intent": asked["intent"]}
        self.counts.coupons += 1
        self.counts.amount += amount
        self.shown.coupons.append(
            {
                "at": self._clock(),
                "code": code,
                "amount": amount,
                "currency": str(asked["currency"]),
                "customer": str(asked.get("customer_id", "")),
                "order": str(asked.get("order_id", "")),
                "expires_at": str(asked["expires_at"]),
                "minimum_order": asked.get("minimum_order", 0),
            }
        )
        return JSONResponse({"code": code, "intent": asked["intent"]}, 201)

    async def _find(self, request: Request) -> Response:
        if refusal := await self._signed(request):
            return refusal
        found = self._coupons.get(request.path_params["code"].upper())
        return JSONResponse(found) if found else JSONResponse({"error": "not found"}, 404)

    async def _list(self, request: Request) -> Response:
        if refusal := await self._signed(request):
            return refusal
        prefix, after = request.query_params.get("prefix", ""), request.query_params.get("after", "")
        codes = sorted(code for code in self._coupons if code.startswith(prefix) and code > after)
        page = codes[:PAGE]
        return JSONResponse({"codes": page, "next": page[-1] if len(codes) > PAGE else None})

    async def _alert(self, request: Request) -> Response:
        """Slack's incoming webhook: no signature, the URL is the secret; answers are plain text."""
        asked = await self._object(request)
        if asked is None:
            self.counts.rejected += 1
            return PlainTextResponse("invalid_payload", 400)
        parts = chat_parts(asked)
        if not parts and not asked.get("text"):
            self.counts.rejected += 1
            return PlainTextResponse("no_text", 400)
        self.counts.alerts += 1
        colours = [
            str(a["color"]) for a in asked.get("attachments", []) if isinstance(a, dict) and a.get("color")
        ]
        self.shown.alerts.append(
            {
                "at": self._clock(),
                "title": "" if parts else str(asked.get("text", "")),
                "colour": colours[0] if colours else "",
                "parts": parts,
            }
        )
        return PlainTextResponse("ok")

    async def _state(self, request: Request) -> Response:
        del request
        shown = {
            name: list(getattr(self.shown, name))[-60:] for name in ("messages", "coupons", "alerts", "story")
        }
        return JSONResponse({"now": self._clock(), "counts": asdict(self.counts), **shown})

    async def _health(self, request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n")

    async def _page(self, request: Request) -> Response:
        del request
        page = (files("monitor") / "standin.html").read_text(encoding="utf-8")
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
            "img-src http://127.0.0.1:*"  # the charts of alerts, from the daemon beside
        )
        return HTMLResponse(page, headers={"content-security-policy": policy, "cache-control": "no-store"})


def chat_parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Slack's blocks, those of attachments too, as the few kinds the page can draw; unknown blocks are left out."""
    blocks = list(message.get("blocks", []))
    parts: list[dict[str, Any]] = []
    for attachment in message.get("attachments", []):
        if not isinstance(attachment, dict):
            continue
        blocks += attachment.get("blocks", [])
        if not attachment.get("blocks") and (attachment.get("text") or attachment.get("fallback")):
            parts.append({"kind": "text", "text": str(attachment.get("text") or attachment["fallback"])})
    drawn = [part for block in blocks if isinstance(block, dict) for part in _block(block)]
    return drawn + parts


def _block(block: dict[str, Any]) -> list[dict[str, Any]]:
    kind = block.get("type")
    if kind == "header":
        return [{"kind": "title", "text": _text(block)}]
    if kind == "section":
        parts = [{"kind": "text", "text": _text(block)}] if block.get("text") else []
        fields = [str(f.get("text", "")) for f in block.get("fields", []) if isinstance(f, dict)]
        return parts + ([{"kind": "fields", "fields": fields}] if fields else [])
    if kind == "context":
        words = [
            str(e.get("text", "")) for e in block.get("elements", []) if isinstance(e, dict) and "text" in e
        ]
        return [{"kind": "context", "text": " · ".join(words)}]
    if kind == "actions":
        buttons = [e for e in block.get("elements", []) if isinstance(e, dict) and _text(e)]
        links = [str(e.get("url", "")) for e in buttons]
        return [{"kind": "buttons", "labels": [_text(e) for e in buttons], "links": links}]
    if kind == "image":
        return [
            {"kind": "image", "url": str(block.get("image_url", "")), "alt": str(block.get("alt_text", ""))}
        ]
    return [{"kind": "rule"}] if kind == "divider" else []


def _text(block: dict[str, Any]) -> str:
    text = block.get("text")
    return str(text.get("text", "")) if isinstance(text, dict) else str(text or "")
