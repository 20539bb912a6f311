"""Any endpoint of yours, signed by the Standard Webhooks scheme.

`POST url` with `webhook-id` (the idempotency key, the same on every retry), `webhook-timestamp` and
`webhook-signature`; the body is `{"type", "timestamp", "data"}`. A receiver that has seen the id answers 2xx and does
nothing, so a lost reply costs nothing: the channel is idempotent. `data.recipient` is there for customer messages.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from notifier import standard_webhooks
from notifier.http import Http, classify, json_bytes
from notifier.options import Options, PerSecond, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult


class WebhookOptions(Options):
    url: SecretUrl
    secret: Secret = Field(description="whsec_<base64>, or any text")
    per_second: PerSecond = None
    contact: bool = Field(
        True, description="send phone, e-mail and openid along; off: only the customer's id"
    )
    max_body_bytes: int = Field(256_000, ge=1024)


class WebhookChannel:
    Config = WebhookOptions
    name = "webhook"
    capabilities = Capabilities(thread=True, buttons=True, image_url=True, idempotent=True, acknowledge=True)

    def __init__(self, config: WebhookOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self.limits = Limits(body_bytes=config.max_body_bytes, per_second=config.per_second)

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = json_bytes(self._envelope(message, now))
        if len(body) > self.limits.body_bytes:
            return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail="body")
        headers = standard_webhooks.headers(self._config.secret.get_secret_value(), message.key, now, body)
        reply = await self._http.request(
            "POST",
            self._config.url.get_secret_value(),
            headers={"content-type": "application/json", **headers},
            body=body,
        )
        if isinstance(reply, SendResult):
            return reply
        if reply.status == 410:  # the specification's "do not send this again"
            return SendResult(Answer.PERMANENT, Cause.REJECTED, detail="410")
        result = classify(reply, now)
        if result.answer is not Answer.DONE:
            return result
        provider_id = reply.object().get("id")
        return SendResult(Answer.DONE, provider_id=provider_id if isinstance(provider_id, str) else None)

    def _envelope(self, message: Message, now: Instant) -> dict[str, Any]:
        return {
            "type": "customer.message" if message.customer_id else "ops.message",
            "timestamp": datetime.fromtimestamp(now / 1000, UTC).isoformat().replace("+00:00", "Z"),
            "data": {
                name: value for name, value in self._data(message).items() if value not in (None, "", [], {})
            },
        }

    def _data(self, message: Message) -> dict[str, Any]:
        recipient = message.recipient if self._config.contact else None
        contact = (
            {"phone": recipient.phone, "email": recipient.email, "openid": recipient.openid}
            if recipient
            else {}
        )
        return {
            "title": message.title,
            "body": message.body,
            "locale": message.locale,
            "severity": None if message.customer_id else message.severity,
            "fields": [{"name": name, "value": value} for name, value in message.fields],
            "link": message.link,
            "buttons": [{"label": button.label, "url": button.url} for button in message.buttons],
            "image_url": message.image_url,
            "thread": message.thread,
            "why": message.why,
            "labels": dict(message.labels),
            "recipient": {name: value for name, value in contact.items() if value},
            "customer_id": message.customer_id,
            "order_id": message.order_id,
            "purpose": message.purpose if message.customer_id else None,
            "template": message.template,
            "variables": dict(message.variables),
            "coupon_code": message.coupon_code,
            "unsubscribe": message.unsubscribe,
        }
