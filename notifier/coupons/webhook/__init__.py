"""A coupon service of your own, signed by the Standard Webhooks scheme.

    POST   url            {"code", "amount", "currency", "intent", ...}   201, or 200 where the same intent has it
    GET    url/CODE       {"code", "intent"} or 404
    GET    url?prefix=SRY&after=CODE   {"codes": [...], "next": CODE or null}

409 says that the code exists: it is looked up, and it is ours only if its intent is the one we asked for. Every request
is signed, a GET over an empty body; `webhook-id` is the intent, or the path asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import Field

from notifier import standard_webhooks
from notifier.http import Http, Reply, classify, json_bytes
from notifier.options import Options, PerSecond, Secret, SecretUrl
from notifier.sending import Answer, Cause, Coupon, CouponsUnavailableError, Instant, Limits, SendResult


class WebhookCouponOptions(Options):
    url: SecretUrl
    secret: Secret = Field(description="whsec_<base64>, or any text")
    per_second: PerSecond = None
    contact: bool = Field(
        False, description="send phone, e-mail and openid along, to bind the coupon to them"
    )


class WebhookCoupons:
    Config = WebhookCouponOptions
    name = "webhook"

    def __init__(self, config: WebhookCouponOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._url = config.url.get_secret_value().rstrip("/")
        self.limits = Limits(per_second=config.per_second)

    async def issue(self, coupon: Coupon, now: Instant) -> SendResult:
        reply = await self._call("POST", self._url, coupon.intent, now, json_bytes(self._body(coupon)))
        if isinstance(reply, SendResult):
            return reply
        if reply.status == 409:
            return await self._verify(coupon, now)
        result = classify(reply, now)
        if result.answer is not Answer.DONE:
            return result
        # A 200 from a gateway's error page is no coupon: the shop must name the code.
        if str(reply.object().get("code", "")).upper() != coupon.code:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="no_code")
        return SendResult(Answer.DONE, provider_id=coupon.code)

    async def _verify(self, coupon: Coupon, now: Instant) -> SendResult:
        reply = await self._call("GET", f"{self._url}/{quote(coupon.code, safe='')}", coupon.code, now)
        if isinstance(reply, SendResult) or not reply.ok:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="verify")
        if reply.object().get("intent") == coupon.intent:
            return SendResult(Answer.DONE, provider_id=coupon.code, detail="exists")
        return SendResult(Answer.PERMANENT, Cause.CONFLICT, detail="exists")

    async def find(self, code: str, now: Instant) -> bool | None:
        reply = await self._call("GET", f"{self._url}/{quote(code, safe='')}", code, now)
        if isinstance(reply, SendResult):
            return None
        if reply.status == 404:
            return False
        if reply.ok and str(reply.object().get("code", "")).upper() == code:
            return bool(reply.object().get("intent"))
        return None

    async def codes(self, prefix: str, now: Instant) -> AsyncIterator[str]:
        after = ""
        while True:
            query = f"?prefix={quote(prefix, safe='')}&after={quote(after, safe='')}"
            reply = await self._call("GET", self._url + query, f"codes:{prefix}:{after}", now)
            page: Any = reply.object() if isinstance(reply, Reply) and reply.ok else {}
            if not isinstance(page.get("codes"), list):
                raise CouponsUnavailableError(self.name)
            for code in page["codes"]:
                yield str(code).upper()
            after = str(page.get("next") or "")
            if not after:
                return

    async def _call(
        self, method: str, url: str, key: str, now: Instant, body: bytes = b""
    ) -> Reply | SendResult:
        signed = standard_webhooks.headers(self._config.secret.get_secret_value(), key, now, body)
        kind = {"content-type": "application/json"} if body else {}
        return await self._http.request(method, url, headers={**kind, **signed}, body=body or None)

    def _body(self, coupon: Coupon) -> dict[str, Any]:
        recipient = coupon.recipient if self._config.contact else None
        contact = (
            {"phone": recipient.phone, "email": recipient.email, "openid": recipient.openid}
            if recipient
            else {}
        )
        body = {
            "code": coupon.code,
            "amount": coupon.amount,
            "currency": coupon.currency,
            "intent": coupon.intent,
            "customer_id": coupon.customer_id,
            "order_id": coupon.order_id,
            "expires_at": datetime.fromtimestamp(coupon.expires_at / 1000, UTC)
            .isoformat()
            .replace("+00:00", "Z"),
            "minimum_order": coupon.minimum_order,
            "recipient": {name: value for name, value in contact.items() if value},
        }
        return {name: value for name, value in body.items() if value not in (None, {})}
