"""SMS by Aliyun (dysmsapi, SendSms), for mainland China.

The text is a template that Aliyun approved: this channel sends its name and variables, never our words. Failures come
with HTTP 200 and a `Code`. There is no idempotency key: a lost reply is `unknown`, until QuerySendDetails, asked for the
number and the day, shows our `OutId` or, when the list has settled, does not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr

from notifier.http import Http, Reply, classify
from notifier.money_text import major, rfc3339
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult, Trace

VERSION: Final = "2017-05-25"
BEIJING: Final = timezone(timedelta(hours=8))  # whose days the list goes by
PAGE: Final = 50
SETTLED_MS: Final = 600_000  # after so long a message that is not listed was not taken
NOT_DELIVERED: Final = "2"  # 1 waits for the carrier's word, 3 delivered
BAD_REQUEST: Final = 400
LONGEST_VALUE: Final = 35  # characters of a variable in a notice
RATE: Final = ("Throttling", "isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL")
RECIPIENT_RATE: Final = ("isv.BUSINESS_LIMIT_CONTROL",)  # too many to this number
AUTH: Final = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidTimeStamp",  # our clock is off
    "isp.RAM_PERMISSION_DENY",
    "isv.OUT_OF_SERVICE",
    "isv.AMOUNT_NOT_ENOUGH",  # a person tops up, and the messages go
    "isv.ACCOUNT_",
    "isv.PRODUCT_UN",
)
NO_CONTACT: Final = ("isv.MOBILE_NUMBER_ILLEGAL",)
UNSURE: Final = (
    "isp.SYSTEM_ERROR",
    "isp.UNKNOWN",
    "isp.GATEWAY_ERROR",
    "ServiceUnavailable",
    "InternalError",
)


class AliyunTemplate(Options):
    """One of ours as Aliyun knows it: `variables` maps names of the approved template to ours."""

    code: str = Field(pattern=r"^SMS_\d+$")
    variables: dict[str, str] = Field(default_factory=dict)


class AliyunSmsOptions(Options):
    access_key: Secret
    secret: Secret
    sign_name: str = Field(min_length=2, max_length=12, description="approved signature, without brackets")
    templates: dict[str, AliyunTemplate] = Field(min_length=1, description="by the name of our template")
    url: SecretUrl = SecretStr("https://dysmsapi.aliyuncs.com")
    per_second: float = Field(50.0, gt=0)


class AliyunSmsChannel:
    Config = AliyunSmsOptions
    name = "aliyun_sms"
    capabilities = Capabilities()

    def __init__(self, config: AliyunSmsOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self.limits = Limits(body_bytes=10_000, per_second=config.per_second)

    async def send(self, message: Message, now: Instant) -> SendResult:
        template = self._config.templates.get(message.template)
        if template is None:
            return SendResult(Answer.PERMANENT, Cause.REJECTED, detail="no_template")
        number = message.recipient.phone if message.recipient else None
        if not number:
            return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="no_phone")
        query = {
            "PhoneNumbers": _plain(number),
            "SignName": self._config.sign_name,
            "TemplateCode": template.code,
            "TemplateParam": json.dumps(
                self._values(template, message), ensure_ascii=False, separators=(",", ":")
            ),
            "OutId": message.key,
        }
        reply = await self._ask("SendSms", query, now, message.key)
        return reply if isinstance(reply, SendResult) else _understood(reply, now)

    async def trace(self, message: Message, began_at: Instant, now: Instant) -> Trace:
        number = message.recipient.phone if message.recipient else None
        if not number:
            return Trace.UNANSWERED
        days = {_day(began_at), _day(began_at + SETTLED_MS)}
        found = [await self._traced(number, day, message.key, now) for day in sorted(days)]
        for answer in (Trace.DONE, Trace.FAILED, Trace.UNANSWERED):
            if answer in found:
                return answer
        return Trace.ABSENT if now - began_at >= SETTLED_MS else Trace.UNANSWERED

    async def _traced(self, number: str, day: str, key: str, now: Instant) -> Trace:
        page = {"PhoneNumber": _plain(number), "SendDate": day, "PageSize": str(PAGE), "CurrentPage": "1"}
        reply = await self._ask("QuerySendDetails", page, now, f"trace:{key}:{day}")
        if isinstance(reply, SendResult) or not reply.ok or reply.object().get("Code") != "OK":
            return Trace.UNANSWERED
        listed = reply.object().get("SmsSendDetailDTOs")
        sent = listed.get("SmsSendDetailDTO") if isinstance(listed, dict) else None
        if not isinstance(sent, list):
            return Trace.UNANSWERED
        ours = [one for one in sent if isinstance(one, dict) and one.get("OutId") == key]
        if not ours:
            return Trace.ABSENT if len(sent) < PAGE else Trace.UNANSWERED
        refused = all(str(one.get("SendStatus")) == NOT_DELIVERED for one in ours)
        return Trace.FAILED if refused else Trace.DONE

    async def _ask(self, action: str, query: Mapping[str, str], now: Instant, key: str) -> Reply | SendResult:
        headers = self._signed(action, query, now, key)
        url = self._config.url.get_secret_value().rstrip("/") + "/?" + canonical(query)
        return await self._http.request("POST", url, headers=headers)

    def _values(self, template: AliyunTemplate, message: Message) -> dict[str, str]:
        ours: dict[str, Any] = {
            **message.variables,
            "coupon_code": message.coupon_code,
            "order_id": message.order_id,
        }
        amount, currency = ours.get("amount"), ours.get("currency")
        if isinstance(amount, int) and isinstance(currency, str):
            ours["amount"] = major(amount, currency)
        return {
            name: str(ours.get(source) or "")[:LONGEST_VALUE] for name, source in template.variables.items()
        }

    def _signed(self, action: str, query: Mapping[str, str], now: Instant, key: str) -> dict[str, str]:
        """ACS3-HMAC-SHA256. The nonce is of this attempt: the same one twice is refused as a replay."""
        empty = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": urlsplit(self._config.url.get_secret_value()).netloc,
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": rfc3339(now),
            "x-acs-signature-nonce": hashlib.blake2b(f"{key}:{now}".encode(), digest_size=16).hexdigest(),
            "x-acs-content-sha256": empty,
        }
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join(["POST", "/", canonical(query), lines, names, empty])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(
            self._config.secret.get_secret_value().encode(), text.encode(), hashlib.sha256
        ).hex()
        credential = self._config.access_key.get_secret_value()
        headers["authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        )
        return headers


def _plain(number: str) -> str:
    return number.removeprefix("+86").lstrip("+")


def _day(moment: Instant) -> str:
    return datetime.fromtimestamp(moment / 1000, BEIJING).strftime("%Y%m%d")


def canonical(query: Mapping[str, str]) -> str:
    """As it is signed, and so as it is sent: httpx leaves it as it is."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))


def _understood(reply: Reply, now: Instant) -> SendResult:
    body = reply.object()
    code = str(body.get("Code") or "")
    if reply.ok and code == "OK":
        return SendResult(Answer.DONE, provider_id=str(body.get("BizId") or ""))
    if code.startswith(RATE):
        return SendResult(Answer.RETRY, Cause.RATE, classify(reply, now).retry_after, detail=code)
    if code.startswith(RECIPIENT_RATE):
        return SendResult(Answer.RETRY, Cause.RECIPIENT_RATE, detail=code)
    if code.startswith(AUTH):
        return SendResult(Answer.RETRY, Cause.AUTH, detail=code)
    if code.startswith(NO_CONTACT):
        return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail=code)
    if code.startswith(UNSURE) or (reply.ok and not code):
        return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=code or "no_code")
    if code and (reply.ok or reply.status == BAD_REQUEST):
        return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=code)
    return classify(reply, now)
