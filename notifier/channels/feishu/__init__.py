"""Feishu and Lark custom bot: an interactive card; buttons open URLs.

100 messages a minute and 5 a second. At full and half hours the service is crowded and refuses with 11232: delivery
keeps clear of them (`Limits.crowded_minutes`), and a refusal is tried again at a moment of the message's own, up to a
minute and a half later. A card takes pictures by key, never by URL, and only an app may upload one: with `app_id` and
`app_secret` (scope im:resource) cards have the chart, without them they go as they are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

_CODES = {
    9499: (
        Answer.PERMANENT,
        Cause.REJECTED,
        None,
    ),  # a bad body; or too many requests, which only its text says
    11232: (Answer.RETRY, Cause.RATE, None),
    19001: (Answer.RETRY, Cause.AUTH, None),  # no such token
    19021: (Answer.RETRY, Cause.AUTH, None),  # signature, or a clock more than an hour away
    19022: (Answer.RETRY, Cause.AUTH, None),  # address not allowed
    19024: (Answer.PERMANENT, Cause.REJECTED, None),  # keyword
    19036: (Answer.PERMANENT, Cause.TOO_LARGE, None),
}
TEXT = 16_000
_MEMBER = re.compile(r"ou_[A-Za-z0-9]{1,64}")  # an open id; names of other kinds belong to other chats
_TOKEN_ENDED = frozenset({99991661, 99991663, 99991668})
EARLY = 300_000  # a token is renewed so long before it ends
_TEMPLATES = {"critical": "red", "warning": "orange", "info": "blue", "resolved": "green"}


class FeishuOptions(Options):
    url: SecretUrl = Field(
        description="https://open.feishu.cn/open-apis/bot/v2/hook/... or open.larksuite.com"
    )
    secret: Secret | None = None
    app_id: str = Field("", description="cli_..., of an app of the same tenant that uploads the charts")
    app_secret: Secret | None = None
    api_url: SecretUrl | None = Field(None, description="of that app; none: the host of `url`")


class FeishuChannel:
    Config = FeishuOptions
    name = "feishu"
    limits = Limits(body_bytes=20_000, per_second=4, per_minute=90, crowded_minutes=(0, 30))

    def __init__(self, config: FeishuOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._uploads = Uploads(config, http) if config.app_id and config.app_secret else None
        self.capabilities = Capabilities(buttons=True, image=self._uploads is not None)

    def fits(self, message: Message) -> bool:
        picture = "img_" + "0" * 60 if message.image else ""
        return chat.whole(lambda room: self._payload(message, 0, room, picture), TEXT, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        picture = ""
        if self._uploads is not None and message.image:
            picture = await self._uploads.key_of(message.image, message.key, now)
        body = chat.fit(lambda room: self._payload(message, now, room, picture), TEXT, self.limits.body_bytes)
        url = self._config.url.get_secret_value()
        judge = partial(_judge, key=message.key)
        return await chat.post(self._http, url, body, now, judge, judged={400})

    def _payload(self, message: Message, now: Instant, room: int, picture: str) -> dict[str, Any]:
        signed = {}
        if self._config.secret is not None:
            seconds = now // 1000
            signature = sign(self._config.secret.get_secret_value(), seconds)
            signed = {"timestamp": str(seconds), "sign": signature}
        return {**signed, "msg_type": "interactive", "card": _card(message, room, picture)}


def _card(message: Message, room: int, picture: str) -> dict[str, Any]:
    text = chat.compose(message, _DIALECT, room, title=False, buttons=False)
    text += "".join(f" <at id={name}></at>" for name in message.mention[:10] if _MEMBER.fullmatch(name))
    elements: list[dict[str, Any]] = [{"tag": "div", "text": {"tag": "lark_md", "content": text}}]
    if picture:
        elements.append({"tag": "img", "img_key": picture, "alt": {"tag": "plain_text", "content": "chart"}})
    links = [(button.label, button.url, button.style) for button in message.buttons]
    if message.link:
        links.append((chat.open_label(message), message.link, "default"))
    if links:
        actions = [
            {
                "tag": "button",
                "text": {"tag": "plain_text", "content": chat.cut(label, 60)},
                "type": style,
                "url": url,
            }
            for label, url, style in links[:6]
        ]
        elements.append({"tag": "action", "actions": actions})
    title = chat.cut(chat.one_line(message.title), 200)
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "title": {"tag": "plain_text", "content": title},
            "template": _TEMPLATES.get(message.severity, "blue"),
        },
        "elements": elements,
    }


_DIALECT = chat.Dialect(escape=chat.neutral)


class Uploads:
    """Pictures by the app's own interface: a token for some two hours, then one upload a picture."""

    def __init__(self, config: FeishuOptions, http: Http) -> None:
        self._config = config
        self._http = http
        parts = urlsplit((config.api_url or config.url).get_secret_value())
        self._base = f"{parts.scheme}://{parts.netloc}/open-apis"
        self._token, self._until = "", 0

    async def key_of(self, image: bytes, name: str, now: Instant) -> str:
        """Empty where it could not be uploaded: then the card goes without."""
        token = await self._fresh(now)
        if not token:
            return ""
        kind, body = chat.multipart(
            chat.boundary(name),
            (
                ('name="image_type"', "", b"message"),
                ('name="image"; filename="chart.png"', "image/png", image),
            ),
        )
        headers = {"authorization": f"Bearer {token}", "content-type": kind}
        reply = await self._http.request("POST", f"{self._base}/im/v1/images", headers=headers, body=body)
        answer = reply.object() if isinstance(reply, Reply) else {}
        data = answer.get("data")
        key = data.get("image_key") if answer.get("code") == 0 and isinstance(data, dict) else None
        if answer.get("code") in _TOKEN_ENDED:
            self._until = 0
        return key if isinstance(key, str) else ""

    async def _fresh(self, now: Instant) -> str:
        if now < self._until:
            return self._token
        secret = self._config.app_secret
        asked = {"app_id": self._config.app_id, "app_secret": secret.get_secret_value() if secret else ""}
        reply = await self._http.post_json(f"{self._base}/auth/v3/tenant_access_token/internal", asked)
        answer = reply.object() if isinstance(reply, Reply) else {}
        token, seconds = answer.get("tenant_access_token"), answer.get("expire")
        if answer.get("code") != 0 or not isinstance(token, str) or not isinstance(seconds, int):
            return ""
        self._token, self._until = token, now + 1000 * seconds - EARLY
        return token


def sign(secret: str, seconds: int) -> str:
    """The text is the key and the message is empty: unlike DingTalk, whose robot looks the same."""
    return base64.b64encode(hmac.digest(f"{seconds}\n{secret}".encode(), b"", "sha256")).decode()


def _judge(reply: Reply, key: str) -> SendResult:
    result = chat.coded(reply, "code", _CODES, also="StatusCode")
    if result is chat.LOST and not reply.ok:  # a refusal without a code, of something on the way
        return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=str(reply.status))
    if result.detail == "9499" and "too many" in str(reply.object().get("msg")).lower():
        result = SendResult(Answer.RETRY, Cause.RATE, detail=result.detail)
    if result.cause is Cause.RATE:
        apart = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=2).digest(), "big") % 90
        return SendResult(result.answer, result.cause, 1.0 + apart, detail=result.detail)
    return result
