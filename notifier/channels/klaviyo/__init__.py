"""An event at Klaviyo, whose flow writes the message: consent, quiet hours and words are then Klaviyo's.

`unique_id` is the idempotency key: of one profile and metric only the first event with it is recorded. A 202 says
validated, not yet processed.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import Field, SecretStr

from notifier.http import Http, classify, json_bytes
from notifier.money_text import major, rfc3339
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

E164: Final = re.compile(r"\+[1-9]\d{6,14}")
LARGEST: Final = 5_000_000
LONGEST_TEXT: Final = 50_000  # characters; the API allows 100 KB a text


class KlaviyoOptions(Options):
    key: Secret = Field(description="private API key, pk_...")
    metric: str = Field("Forestall {template}", min_length=1, max_length=100, description="name of the event")
    contact: bool = Field(True, description="send e-mail and phone along, to find the profile by them")
    url: SecretUrl = SecretStr("https://a.klaviyo.com")
    revision: str = Field("2026-07-15", pattern=r"^\d{4}-\d{2}-\d{2}$")


class KlaviyoChannel:
    Config = KlaviyoOptions
    name = "klaviyo"
    capabilities = Capabilities(idempotent=True)
    limits = Limits(body_bytes=LARGEST, per_second=50)

    def __init__(self, config: KlaviyoOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._url = config.url.get_secret_value().rstrip("/") + "/api/events"

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = json_bytes({"data": {"type": "event", "attributes": self._attributes(message, now)}})
        if len(body) > LARGEST:
            return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail="body")
        headers = {
            "authorization": f"Klaviyo-API-Key {self._config.key.get_secret_value()}",
            "revision": self._config.revision,
            "content-type": "application/vnd.api+json",
            "accept": "application/vnd.api+json",
        }
        reply = await self._http.request("POST", self._url, headers=headers, body=body)
        return reply if isinstance(reply, SendResult) else classify(reply, now)

    def _attributes(self, message: Message, now: Instant) -> dict[str, Any]:
        profile: dict[str, Any] = {"external_id": message.customer_id}
        if self._config.contact and message.recipient is not None:
            phone = message.recipient.phone or ""
            profile |= {"email": message.recipient.email}
            profile |= {"phone_number": phone} if E164.fullmatch(phone) else {}  # else all of it is refused
        properties = {
            **message.variables,
            "title": message.title[:LONGEST_TEXT],
            "body": message.body[:LONGEST_TEXT],
            "order_id": message.order_id,
            "coupon_code": message.coupon_code,
            "purpose": message.purpose,
        }
        attributes: dict[str, Any] = {
            "unique_id": message.key,
            "time": rfc3339(now),
            "properties": {name: value for name, value in properties.items() if value is not None},
            "metric": {
                "data": {
                    "type": "metric",
                    "attributes": {"name": self._config.metric.replace("{template}", message.template)},
                }
            },
            "profile": {
                "data": {
                    "type": "profile",
                    "attributes": {name: value for name, value in profile.items() if value},
                }
            },
        }
        amount, currency = message.variables.get("amount"), message.variables.get("currency")
        if isinstance(amount, int) and isinstance(currency, str):
            attributes |= {"value": float(major(amount, currency)), "value_currency": currency}
        return attributes
