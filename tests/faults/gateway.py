"""Coupon shop and message gateway in one, and the trouble that it gives."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fakes.server import Fault, Request, Response, Scripted
from tests.fakes.signed import refuse_unsigned

SECRET = "whsec_dG9ydHVyZSB0b3J0dXJlIHRvcnR1cmUh"


class Gateway:
    """`deduplicates` off is an SMS gateway: every request is a message."""

    def __init__(self, *, deduplicates: bool = True) -> None:
        self.deduplicates = deduplicates
        self.coupons: dict[str, dict[str, Any]] = {}
        self.messages: Counter[str] = Counter()
        self.kinds: dict[str, str] = {}

    def __call__(self, request: Request) -> Response:
        if refused := refuse_unsigned(request, SECRET, time.time_ns() // 1_000_000):
            return refused
        if request.path == "/messages":
            return self._message(request)
        if request.method == "POST":
            asked = request.json()
            if asked["code"] in self.coupons:
                return Response.of({"error": "exists"}, 409)
            self.coupons[asked["code"]] = asked
            return Response.of({"code": asked["code"], "intent": asked["intent"]}, 201)
        found = self.coupons.get(request.path.removeprefix("/coupons/"))
        return Response.of(found) if found else Response.of({}, 404)

    def _message(self, request: Request) -> Response:
        key = request.headers["webhook-id"]
        self.kinds[key] = str(request.json()["data"].get("template"))
        if self.deduplicates:
            self.messages[key] = 1
        else:
            self.messages[key] += 1
        return Response.of({"id": key}, 202)

    def of(self, template: str) -> dict[str, int]:
        """How often each message of a template was taken."""
        return {key: count for key, count in self.messages.items() if self.kinds[key] == template}


def trouble(dice: random.Random) -> Callable[[Request], Scripted | None]:
    """5 % 503, 8 % lost replies, 3 % hangs after the work was done."""

    def of(_request: Request) -> Scripted | None:
        rolled = dice.random()
        if rolled < 0.05:
            return Response(503)
        if rolled < 0.13:
            return Fault.LOST_REPLY
        return Fault.LOST_REPLY_HANG if rolled < 0.16 else None

    return of
