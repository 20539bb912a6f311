from __future__ import annotations

import re
from typing import Any

from notifier.sending import Answer, Cause
from tests.channels.case import COUPON, CouponCase, InBody
from tests.fakes.server import Request, Response

TOKEN = "shpat_0a1b2c3d4e"
REQUIRED = {"title", "code", "startsAt", "context", "customerGets"}


class Fake:
    """Everything is HTTP 200; codes are unique; a create without a required field is a top-level error."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.pages = 0

    def __call__(self, request: Request) -> Response:
        if request.headers.get("x-shopify-access-token") != TOKEN:
            return Response.of({"errors": "[API] Invalid API key or access token"}, 401)
        if request.path != "/admin/api/2026-10/graphql.json":
            return Response.of({"errors": "Not Found"}, 404)
        query, variables = request.json()["query"], request.json()["variables"]
        if "discountCodeBasicCreate" in query:
            return self._create(variables["discount"])
        if "codeDiscountNodeByCode" in query:
            found = self.made.get(variables["code"])
            return data({"codeDiscountNodeByCode": node(found) if found else None})
        return self._list(variables["query"])

    def _create(self, asked: dict[str, Any]) -> Response:
        if not asked.keys() >= REQUIRED or "customerSelection" in asked:
            return failed("INVALID_VARIABLE")
        if asked["code"] in self.made:
            error = {"field": ["basicCodeDiscount", "code"], "code": "TAKEN", "message": "must be unique"}
            return data({"discountCodeBasicCreate": {"codeDiscountNode": None, "userErrors": [error]}})
        self.made[asked["code"]] = asked
        made = {"id": "gid://shopify/DiscountCodeNode/1"}
        return data({"discountCodeBasicCreate": {"codeDiscountNode": made, "userErrors": []}})

    def _list(self, query: str) -> Response:
        """One a page, so that pages are turned, and an empty bucket before each."""
        self.pages += 1
        if self.pages % 2:
            return failed("THROTTLED", extensions=FILLED)
        (title, after) = re.fullmatch(r"title:(\w+)\* id:>(\d+)", query).groups()  # type: ignore[union-attr]
        ids = {number: code for number, code in enumerate(self.made, 7) if number > int(after)}
        listed = [
            {
                "id": f"gid://shopify/DiscountCodeNode/{number}",
                "codeDiscount": {"title": self.made[code]["title"], "codes": {"nodes": [{"code": code}]}},
            }
            for number, code in ids.items()
            if self.made[code]["title"].startswith(title)
        ]
        return data(
            {"codeDiscountNodes": {"nodes": listed[:1], "pageInfo": {"hasNextPage": len(listed) > 1}}}
        )


class Taken(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.made[COUPON.code] = {"title": "Summer sale", "code": COUPON.code}


def node(discount: dict[str, Any]) -> dict[str, Any]:
    return {"id": "gid://shopify/DiscountCodeNode/1", "codeDiscount": {"title": discount["title"]}}


def data(value: dict[str, Any]) -> Response:
    return Response.of({"data": value})


def failed(code: str, **more: Any) -> Response:
    return Response.of({"errors": [{"message": "no", "extensions": {"code": code}}], **more})


def refused(code: str) -> Response:
    error = {"field": ["basicCodeDiscount"], "code": code, "message": "no"}
    return data({"discountCodeBasicCreate": {"codeDiscountNode": None, "userErrors": [error]}})


COST = {
    "cost": {
        "requestedQueryCost": 60,
        "throttleStatus": {"maximumAvailable": 1000, "currentlyAvailable": 10, "restoreRate": 50},
    }
}
FILLED = {
    "cost": {
        "requestedQueryCost": 60,
        "throttleStatus": {"maximumAvailable": 1000, "currentlyAvailable": 60, "restoreRate": 50},
    }
}
NOTHING = {
    "codeDiscountNodeByCode": None,
    "codeDiscountNodes": {"nodes": [], "pageInfo": {"hasNextPage": False}},
}
CASE = CouponCase(
    options=lambda url: {"url": url, "token": TOKEN},
    fake=Fake,
    taken=Taken,
    secrets=(TOKEN,),
    unsure=(
        *(failed(code, data=NOTHING) for code in ("INTERNAL_SERVER_ERROR", "ACCESS_DENIED", "TIMEOUT")),
        data({"codeDiscountNodes": {"nodes": [], "pageInfo": {"hasNextPage": True}}}),
        data({"codeDiscountNodes": {"pageInfo": {"hasNextPage": False}}}),
        Response(200, b"{}"),
    ),
    faults=(
        InBody("throttled", failed("THROTTLED", extensions=COST), Answer.RETRY, Cause.RATE, 1.0),
        InBody("scope missing", failed("ACCESS_DENIED"), Answer.RETRY, Cause.AUTH),
        InBody("their fault", failed("INTERNAL_SERVER_ERROR"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody(
            "a fault in the midst of the work",
            failed("TIMEOUT", data={"discountCodeBasicCreate": None}),
            Answer.AMBIGUOUS,
            Cause.LOST_REPLY,
        ),
        InBody("not understood", failed("INVALID_VARIABLE"), Answer.PERMANENT, Cause.REJECTED),
        InBody("refused", refused("INVALID"), Answer.PERMANENT, Cause.REJECTED),
        InBody("taken, and cannot be seen", refused("TAKEN"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody("nothing said", Response(200, b"{}"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
)
