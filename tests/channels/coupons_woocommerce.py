from __future__ import annotations

import base64
import re
from typing import Any

from notifier.sending import Answer, Cause
from tests.channels.case import COUPON, CouponCase, InBody
from tests.fakes.server import Request, Response

KEY, SECRET = "ck_5e1f0c2a", "cs_9b7d4e6f"


class Fake:
    """Keeps codes in lower case, wants money as text, and says what is wrong in its own words."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Response:
        pair = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return said("woocommerce_rest_cannot_view", 401)
        if request.path != "/wp-json/wc/v3/coupons":
            return said("rest_no_route", 404)
        return self._create(request.json()) if request.method == "POST" else self._list(request.query)

    def _create(self, asked: dict[str, Any]) -> Response:
        if not re.fullmatch(r"\d+(\.\d+)?", asked["amount"]) or not isinstance(asked["amount"], str):
            return said("rest_invalid_param", 400)
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", asked["date_expires_gmt"]):
            return said("rest_invalid_param", 400)
        code = asked["code"].lower()
        if any(row["code"] == code for row in self.rows):
            return said("woocommerce_rest_coupon_code_already_exists", 400)
        row = {"id": 700 + len(self.rows), **asked, "code": code}
        self.rows.append(row)
        return Response.of(row, 201)

    def _list(self, query: dict[str, str]) -> Response:
        if "code" in query:
            return Response.of([row for row in self.rows if row["code"] == query["code"]])
        page, size = int(query["page"]), int(query["per_page"])
        rows = [row for row in self.rows if query["search"] in row["code"]]
        return Response.of(rows[(page - 1) * size : page * size])


class Taken(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.rows.append({"id": 1, "code": COUPON.code.lower(), "meta_data": []})


def said(code: str, status: int) -> Response:
    return Response.of({"code": code, "message": "no", "data": {"status": status}}, status)


CASE = CouponCase(
    options=lambda url: {"url": url, "key": KEY, "secret": SECRET},
    fake=Fake,
    taken=Taken,
    secrets=(KEY, SECRET, base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()),
    unsure=(Response(200, b"{}"), Response(200, b"null")),
    faults=(
        InBody("bad amount", said("rest_invalid_param", 400), Answer.PERMANENT, Cause.REJECTED),
        InBody("key may not write", said("woocommerce_rest_cannot_create", 403), Answer.RETRY, Cause.AUTH),
        InBody("a page instead of the shop", Response(200, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody(
            "exists, and cannot be seen",
            said("woocommerce_rest_coupon_code_already_exists", 400),
            Answer.AMBIGUOUS,
            Cause.LOST_REPLY,
        ),
    ),
)
