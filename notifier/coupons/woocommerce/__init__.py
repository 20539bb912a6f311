"""Coupons of WooCommerce, REST API v3, with a consumer key that may write coupons.

The shop looks a code up and then inserts it, without a unique index: two requests at once can both pass. Delivery
gives one worker one code at a time, and a code that "exists already" is ours only if its `_intent` says so. Codes are
compared without case, as the shop keeps them in lower case.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import Field

from notifier.http import Http, Reply, classify, json_bytes
from notifier.money_text import major, rfc3339
from notifier.options import Options, PerSecond, Secret, SecretUrl
from notifier.sending import Answer, Cause, Coupon, CouponsUnavailableError, Instant, Limits, SendResult

TAKEN: Final = "woocommerce_rest_coupon_code_already_exists"
PAGE: Final = 100
INTENT: Final = "_forestall_intent"


class WooCommerceOptions(Options):
    url: SecretUrl = Field(description="of the shop: https://shop.example.com")
    key: Secret = Field(description="consumer key, ck_...")
    secret: Secret = Field(description="consumer secret, cs_...")
    bind_email: bool = Field(True, description="only the customer's own e-mail may use the coupon")
    per_second: PerSecond = None


class WooCommerceCoupons:
    Config = WooCommerceOptions
    name = "woocommerce"

    def __init__(self, config: WooCommerceOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._url = config.url.get_secret_value().rstrip("/") + "/wp-json/wc/v3/coupons"
        pair = f"{config.key.get_secret_value()}:{config.secret.get_secret_value()}"
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self.limits = Limits(per_second=config.per_second)

    async def issue(self, coupon: Coupon, now: Instant) -> SendResult:
        reply = await self._call("POST", "", json_bytes(self._body(coupon)))
        if isinstance(reply, SendResult):
            return reply
        if reply.status == 400 and reply.object().get("code") == TAKEN:
            return await self._verify(coupon)
        result = classify(reply, now)
        if result.answer is not Answer.DONE:
            return result
        if not _is(reply.object(), coupon.code):  # a plugin or cache answered, not the shop
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="no_code")
        return SendResult(Answer.DONE, provider_id=str(reply.object().get("id")))

    async def _verify(self, coupon: Coupon) -> SendResult:
        found = await self._lookup(coupon.code)
        if not found:  # none, though it exists: it may still be written
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="verify")
        if _intent(found[0]) == coupon.intent:
            return SendResult(Answer.DONE, provider_id=str(found[0].get("id")), detail="exists")
        return SendResult(Answer.PERMANENT, Cause.CONFLICT, detail="exists")

    async def find(self, code: str, now: Instant) -> bool | None:  # noqa: ARG002 -- nothing is signed with a time
        found = await self._lookup(code)
        return None if found is None else any(_intent(one) for one in found)

    async def codes(self, prefix: str, now: Instant) -> AsyncIterator[str]:  # noqa: ARG002
        page = 1
        while True:
            query = urlencode(
                {"search": prefix.lower(), "per_page": PAGE, "page": page, "orderby": "id", "order": "asc"}
            )
            reply = await self._call("GET", f"?{query}")
            rows = reply.json() if isinstance(reply, Reply) and reply.ok else None
            if not isinstance(rows, list):
                raise CouponsUnavailableError(self.name)
            for row in rows:
                code = str(row.get("code", "")).upper()
                if code.startswith(prefix) and _intent(row):
                    yield code
            if len(rows) < PAGE:
                return
            page += 1

    async def _lookup(self, code: str) -> list[Mapping[str, Any]] | None:
        reply = await self._call("GET", "?" + urlencode({"code": code.lower()}))
        rows = reply.json() if isinstance(reply, Reply) and reply.ok else None
        return [row for row in rows if _is(row, code)] if isinstance(rows, list) else None

    async def _call(self, method: str, rest: str, body: bytes | None = None) -> Reply | SendResult:
        headers = {
            "authorization": self._authorization,
            **({"content-type": "application/json"} if body else {}),
        }
        return await self._http.request(method, self._url + rest, headers=headers, body=body)

    def _body(self, coupon: Coupon) -> dict[str, Any]:
        body: dict[str, Any] = {
            "code": coupon.code.lower(),
            "discount_type": "fixed_cart",
            "amount": major(coupon.amount, coupon.currency),
            "individual_use": True,
            "usage_limit": 1,
            "usage_limit_per_user": 1,
            "date_expires_gmt": rfc3339(coupon.expires_at).removesuffix("Z"),
            "description": f"Forestall, order {coupon.order_id}" if coupon.order_id else "Forestall",
            "meta_data": [{"key": INTENT, "value": coupon.intent}],
        }
        if coupon.minimum_order:
            body["minimum_amount"] = major(coupon.minimum_order, coupon.currency)
        if self._config.bind_email and coupon.recipient is not None and coupon.recipient.email:
            body["email_restrictions"] = [coupon.recipient.email]
        return body


def _is(row: Any, code: str) -> bool:
    return isinstance(row, dict) and str(row.get("code", "")).casefold() == code.casefold()


def _intent(row: Mapping[str, Any]) -> str | None:
    for one in row.get("meta_data") or ():
        if isinstance(one, dict) and one.get("key") == INTENT:
            return str(one.get("value"))
    return None
