"""Discount codes of Shopify, GraphQL Admin API, with an access token that may write discounts.

Everything is HTTP 200: what went wrong stands in `userErrors` or `errors`. Beside `errors` a null says nothing: the field may
be there and could not be read. Codes are unique in the shop; `TAKEN` is ours
where the discount's title carries our intent. A list goes by ids: a cursor ends at 25,000. The customer is named by a global id; other customer ids leave the code
open to all, and single use guards it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from pydantic import Field

from notifier.http import Http, Reply, classify
from notifier.money_text import major, rfc3339
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Cause, Coupon, CouponsUnavailableError, Instant, Limits, SendResult

TITLE: Final = "Forestall "
CUSTOMER: Final = "gid://shopify/Customer/"
CREATE: Final = """mutation create($discount: DiscountCodeBasicInput!) {
  discountCodeBasicCreate(basicCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field code message }
  }
}"""
LOOKUP: Final = """query lookup($code: String!) {
  codeDiscountNodeByCode(code: $code) { id codeDiscount { ... on DiscountCodeBasic { title } } }
}"""
LIST: Final = """query list($query: String!) {
  codeDiscountNodes(first: 100, sortKey: ID, query: $query) {
    nodes { id codeDiscount { ... on DiscountCodeBasic { title codes(first: 1) { nodes { code } } } } }
    pageInfo { hasNextPage }
  }
}"""
PAGE_TRIES: Final = 10  # of one page, while the bucket fills
PAGE_PATIENCE: Final = 30.0  # seconds, before a page is asked again
NOT_ALLOWED: Final = frozenset({"ACCESS_DENIED", "UNAUTHORIZED"})


class ShopifyOptions(Options):
    url: SecretUrl = Field(description="of the shop: https://SHOP.myshopify.com")
    token: Secret = Field(description="Admin API access token, shpat_...")
    version: str = Field("2026-10", pattern=r"^\d{4}-\d{2}$", description="of the Admin API")
    per_second: float = Field(
        2.0, gt=0, description="a create costs 10 of the bucket's points, restored 50 a second or more"
    )


class ShopifyCoupons:
    Config = ShopifyOptions
    name = "shopify"

    def __init__(self, config: ShopifyOptions, http: Http) -> None:
        self._config = config
        self._http = http
        base = config.url.get_secret_value().rstrip("/")
        self._url = f"{base}/admin/api/{config.version}/graphql.json"
        self.limits = Limits(per_second=config.per_second)

    async def issue(self, coupon: Coupon, now: Instant) -> SendResult:
        reply = await self._ask(CREATE, {"discount": self._discount(coupon, now)})
        if isinstance(reply, SendResult):
            return reply
        if not reply.ok:
            return classify(reply, now)
        if (failed := _failure(reply)) is not None:
            return failed
        created = _data(reply).get("discountCodeBasicCreate") or {}
        codes = [str(error.get("code")) for error in created.get("userErrors") or ()]
        if "TAKEN" in codes:
            return await self._verify(coupon)
        if codes:
            return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=codes[0])
        node = created.get("codeDiscountNode")
        if not node:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="no_node")
        return SendResult(Answer.DONE, provider_id=str(node.get("id")))

    async def _verify(self, coupon: Coupon) -> SendResult:
        known, title = await self._title(coupon.code)
        if not known or title is None:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="verify")
        if title == TITLE + coupon.intent:
            return SendResult(Answer.DONE, detail="exists")
        return SendResult(Answer.PERMANENT, Cause.CONFLICT, detail="exists")

    async def find(self, code: str, now: Instant) -> bool | None:  # noqa: ARG002 -- nothing is signed with a time
        known, title = await self._title(code)
        return (title or "").startswith(TITLE) if known else None

    async def codes(self, prefix: str, now: Instant) -> AsyncIterator[str]:  # noqa: ARG002
        after = 0
        while True:
            page = _whole(await self._page(after)).get("codeDiscountNodes")
            if not isinstance(page, dict) or not isinstance(page.get("nodes"), list):
                raise CouponsUnavailableError(self.name)
            for node in page["nodes"]:
                discount = node.get("codeDiscount") or {}
                for one in (discount.get("codes") or {}).get("nodes") or ():
                    if str(one.get("code", "")).upper().startswith(prefix):
                        yield str(one["code"]).upper()
            if not (page.get("pageInfo") or {}).get("hasNextPage"):
                return
            last = _number(page["nodes"][-1].get("id")) if page["nodes"] else 0
            if last <= after:
                raise CouponsUnavailableError(self.name)
            after = last

    async def _page(self, after: int) -> Reply | SendResult:
        """Waits where the bucket is empty: a list that began anew each time would never end."""
        asked = {"query": f"title:{TITLE.strip()}* id:>{after}"}
        for _ in range(PAGE_TRIES):
            reply = await self._ask(LIST, asked)
            failed = _failure(reply) if isinstance(reply, Reply) and reply.ok else None
            if failed is None or failed.cause is not Cause.RATE:
                return reply
            wait = 1.0 if failed.retry_after is None else failed.retry_after
            await asyncio.sleep(min(wait, PAGE_PATIENCE))
        return failed or reply

    async def _title(self, code: str) -> tuple[bool, str | None]:
        """Whether the shop answered, and the title of the discount with this code."""
        answer = _whole(await self._ask(LOOKUP, {"code": code}))
        if "codeDiscountNodeByCode" not in answer:
            return False, None
        node = answer["codeDiscountNodeByCode"]
        return True, str((node.get("codeDiscount") or {}).get("title", "")) if node else None

    async def _ask(self, query: str, variables: Mapping[str, Any]) -> Reply | SendResult:
        return await self._http.post_json(
            self._url,
            {"query": query, "variables": variables},
            headers={"x-shopify-access-token": self._config.token.get_secret_value()},
        )

    def _discount(self, coupon: Coupon, now: Instant) -> dict[str, Any]:
        customer = coupon.customer_id or ""
        known = customer.startswith(CUSTOMER) or customer.isdigit()
        buyer = customer if customer.startswith(CUSTOMER) else CUSTOMER + customer
        discount: dict[str, Any] = {
            "title": TITLE + coupon.intent,
            "code": coupon.code,
            "startsAt": rfc3339(now),
            "endsAt": rfc3339(coupon.expires_at),
            "context": {"customers": {"add": [buyer]}} if known else {"all": "ALL"},
            "usageLimit": 1,
            "appliesOncePerCustomer": True,
            "customerGets": {
                "value": {
                    "discountAmount": {
                        "amount": major(coupon.amount, coupon.currency),
                        "appliesOnEachItem": False,
                    }
                },
                "items": {"all": True},
            },
            "combinesWith": {"orderDiscounts": False, "productDiscounts": False, "shippingDiscounts": True},
        }
        if coupon.minimum_order:
            least = major(coupon.minimum_order, coupon.currency)
            discount["minimumRequirement"] = {"subtotal": {"greaterThanOrEqualToSubtotal": least}}
        return discount


def _number(gid: object) -> int:
    """gid://shopify/DiscountCodeNode/123 is 123; 0 where it has none."""
    tail = str(gid).rpartition("/")[2]
    return int(tail) if tail.isdecimal() else 0


def _data(reply: Reply) -> Mapping[str, Any]:
    data = reply.object().get("data")
    return data if isinstance(data, dict) else {}


def _whole(reply: Reply | SendResult) -> Mapping[str, Any]:
    """The data of an answer in which nothing went wrong; of any other none."""
    if isinstance(reply, SendResult) or not reply.ok or reply.object().get("errors"):
        return {}
    return _data(reply)


def _failure(reply: Reply) -> SendResult | None:
    """A top-level error, in an answer with status 200. One from before the execution comes without `data`; with it, the work
    may have been done.
    """
    errors = reply.object().get("errors")
    if not errors:
        return None if _data(reply) else SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="no_data")
    first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
    code = str((first.get("extensions") or {}).get("code") or "")
    if code == "THROTTLED":
        return SendResult(Answer.RETRY, Cause.RATE, _patience(reply), detail=code)
    if code in NOT_ALLOWED:
        return SendResult(Answer.RETRY, Cause.AUTH, detail=code)
    if code == "INTERNAL_SERVER_ERROR" or "data" in reply.object():
        return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=code)
    return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=code or "errors")


def _patience(reply: Reply) -> float | None:
    """Until the bucket holds what the request costs, from the answer's own account of it."""
    cost = (reply.object().get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    try:
        lacking = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(0.0, lacking / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
