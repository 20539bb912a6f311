from __future__ import annotations

from typing import Any

from tests.channels.case import COUPON, NOW, CouponCase
from tests.fakes.server import Request, Response
from tests.fakes.signed import refuse_unsigned

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Fake:
    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}

    def __call__(self, request: Request) -> Response:
        if refused := refuse_unsigned(request, SECRET, NOW):
            return refused
        if request.method == "POST":
            return self._create(request.json())
        code = request.path.removeprefix("/coupons").strip("/")
        if code:
            found = self.made.get(code)
            return Response.of(found) if found else Response.of({"error": "not found"}, 404)
        return self._page(request.query)

    def _create(self, asked: dict[str, Any]) -> Response:
        missing = {"code", "amount", "currency", "intent", "expires_at"} - asked.keys()
        if missing or not isinstance(asked["amount"], int):
            return Response.of({"error": "invalid"}, 422)
        if asked["code"] in self.made:
            return Response.of({"error": "exists"}, 409)
        self.made[asked["code"]] = asked
        return Response.of({"code": asked["code"], "intent": asked["intent"]}, 201)

    def _page(self, query: dict[str, str]) -> Response:
        codes = sorted(
            code for code in self.made if code.startswith(query["prefix"]) and code > query["after"]
        )
        return Response.of({"codes": codes[:2], "next": codes[1] if len(codes) > 2 else None})


class Taken(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.made[COUPON.code] = {"code": COUPON.code, "intent": "somebody-else"}


CASE = CouponCase(
    options=lambda url: {"url": f"{url}/coupons", "secret": SECRET},
    fake=Fake,
    taken=Taken,
    secrets=(SECRET, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    unsure=(Response(200, b"{}"), Response(200, b"[]")),
)
