"""Feishu and Lark custom bot: an interactive card; buttons open URLs.

100 messages a minute and 5 a second; at full and half hours the service is crowded and refuses with 11232, so a
refusal is tried again at a moment of the message's own, up to a minute and a half later.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from pydantic import Field

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

_CODES = {
    9499: (Answer.PERMANENT, Cause.REJECTED, None),
    11232: (Answer.RETRY, Cause.RATE, None),
    19001: (Answer.RETRY, Cause.AUTH, None),  # no such token
    19021: (Answer.RETRY, Cause.AUTH, None),  # signature, or a clock more than an hour away
    19022: (Answer.RETRY, Cause.AUTH, None),  # address not allowed
    19024: (Answer.PERMANENT, Cause.REJECTED, None),  # keyword
    19036: (Answer.PERMANENT, Cause.TOO_LARGE, None),
}
_TEMPLATES = {"critical": "red", "warning": "orange", "info": "blue", "resolved": "green"}


class FeishuOptions(Options):
    url: SecretUrl = Field(
        description="https://open.feishu.cn/open-apis/bot/v2/hook/... or open.larksuite.com"
    )
    secret: Secret | None = None


class FeishuChannel:
    Config = FeishuOptions
    name = "feishu"
    capabilities = Capabilities(buttons=True)
    limits = Limits(body_bytes=20_000, per_second=4, per_minute=90)

    def __init__(self, config: FeishuOptions, http: Http) -> None:
        self._config = config
        self._http = http

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: self._payload(message, now, room), 16_000, self.limits.body_bytes)
        url = self._config.url.get_secret_value()
        return await chat.post(self._http, url, body, now, lambda reply: _judge(reply, message.key))

    def _payload(self, message: Message, now: Instant, room: int) -> dict[str, Any]:
        signed = {}
        if self._config.secret is not None:
            seconds = now // 1000
            signature = sign(self._config.secret.get_secret_value(), seconds)
            signed = {"timestamp": str(seconds), "sign": signature}
        return {**signed, "msg_type": "interactive", "card": _card(message, room)}


def _card(message: Message, room: int) -> dict[str, Any]:
    text = chat.compose(message, _DIALECT, room, title=False, buttons=False)
    text += "".join(f" <at id={name}></at>" for name in message.mention if name.isalnum())
    elements: list[dict[str, Any]] = [{"tag": "div", "text": {"tag": "lark_md", "content": text}}]
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


def sign(secret: str, seconds: int) -> str:
    """The text is the key and the message is empty: unlike DingTalk, whose robot looks the same."""
    return base64.b64encode(hmac.digest(f"{seconds}\n{secret}".encode(), b"", "sha256")).decode()


def _judge(reply: Reply, key: str) -> SendResult:
    result = chat.coded(reply, "code", _CODES, also="StatusCode")
    if result.cause is Cause.RATE:
        apart = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=2).digest(), "big") % 90
        return SendResult(result.answer, result.cause, 1.0 + apart, detail=result.detail)
    return result
