"""Subscribe messages of a WeChat mini program. One consent of the customer is one message: 43101 says that none is
left, or that it was withdrawn; that ends this message, and says nothing of the next.

The access token is fetched with the app's secret and kept until shortly before it ends; the call that gives a "stable"
token does not end the one that other programs of yours hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, SecretStr

from notifier.http import Http, classify
from notifier.money_text import major
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

LONGEST: Final = {
    "thing": 20,
    "character_string": 32,
    "phrase": 5,
    "amount": 12,
    "name": 10,
}  # by kind of field
RATE: Final = frozenset({45009, 45011})
STALE_TOKEN: Final = frozenset({40001, 40014, 42001})
REFUSED: Final = 43101
NO_USER: Final = 40003
BUSY: Final = -1
MARGIN_MS: Final = 300_000


class WeChatTemplate(Options):
    """`fields` maps the template's fields (thing1, amount2, ...) to our variables."""

    id: str = Field(min_length=10)
    fields: dict[str, str] = Field(min_length=1)
    page: str | None = None


class WeChatOptions(Options):
    app_id: str = Field(pattern=r"^wx[0-9a-f]{16}$")
    secret: Secret
    templates: dict[str, WeChatTemplate] = Field(min_length=1, description="by the name of our template")
    url: SecretUrl = SecretStr("https://api.weixin.qq.com")
    per_second: float = Field(20.0, gt=0)


class WeChatChannel:
    Config = WeChatOptions
    name = "wechat"
    capabilities = Capabilities()

    def __init__(self, config: WeChatOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._base = config.url.get_secret_value().rstrip("/")
        self._token = ""
        self._token_until: Instant = 0
        self.limits = Limits(body_bytes=20_000, per_second=config.per_second)

    async def send(self, message: Message, now: Instant) -> SendResult:
        template = self._config.templates.get(message.template)
        if template is None:
            return SendResult(Answer.PERMANENT, Cause.REJECTED, detail="no_template")
        openid = message.recipient.openid if message.recipient else None
        if not openid:
            return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="no_openid")
        if (refused := await self._fresh_token(now)) is not None:
            return refused
        body: dict[str, Any] = {
            "touser": openid,
            "template_id": template.id,
            "data": {
                name: {"value": self._value(name, source, message)}
                for name, source in template.fields.items()
            },
        }
        if template.page:
            body["page"] = template.page
        url = f"{self._base}/cgi-bin/message/subscribe/send?access_token={self._token}"
        reply = await self._http.post_json(url, body)
        if isinstance(reply, SendResult):
            return reply
        if not reply.ok:
            return classify(reply, now)
        return self._understood(reply.object())

    async def _fresh_token(self, now: Instant) -> SendResult | None:
        """None where there is one. Nothing was sent yet, so a failure here is always safe to retry."""
        if self._token and now < self._token_until:
            return None
        asked = {
            "grant_type": "client_credential",
            "appid": self._config.app_id,
            "secret": self._config.secret.get_secret_value(),
        }
        reply = await self._http.post_json(f"{self._base}/cgi-bin/stable_token", asked)
        if isinstance(reply, SendResult):
            return SendResult(Answer.RETRY, Cause.NETWORK, detail="token")
        token, seconds = reply.object().get("access_token"), reply.object().get("expires_in")
        if not reply.ok or not isinstance(token, str) or not isinstance(seconds, int):
            code = reply.object().get("errcode", reply.status)
            return SendResult(
                Answer.RETRY, Cause.RATE if code in RATE else Cause.AUTH, detail=f"token {code}"
            )
        self._token, self._token_until = token, now + seconds * 1000 - MARGIN_MS
        return None

    def _understood(self, body: Mapping[str, Any]) -> SendResult:
        code = body.get("errcode")
        if code == 0:
            return SendResult(Answer.DONE, provider_id=str(body["msgid"]) if body.get("msgid") else None)
        if not isinstance(code, int) or code == BUSY:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=str(code))
        if code in STALE_TOKEN:
            self._token = ""
            return SendResult(Answer.RETRY, Cause.AUTH, detail=str(code))
        if code in RATE:
            return SendResult(Answer.RETRY, Cause.RATE, detail=str(code))
        if code == REFUSED:
            return SendResult(Answer.PERMANENT, Cause.NO_CONSENT, detail=str(code))
        cause = Cause.NO_CONTACT if code == NO_USER else Cause.REJECTED
        return SendResult(Answer.PERMANENT, cause, detail=str(code))

    @staticmethod
    def _value(name: str, source: str, message: Message) -> str:
        ours: dict[str, Any] = {
            **message.variables,
            "title": message.title,
            "coupon_code": message.coupon_code,
            "order_id": message.order_id,
        }
        amount, currency = ours.get("amount"), ours.get("currency")
        if isinstance(amount, int) and isinstance(currency, str):
            ours["amount"] = major(amount, currency)
        kind = name.rstrip("0123456789")
        return str(ours.get(source) or "-")[: LONGEST.get(kind, 20)]
