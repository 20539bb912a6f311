"""WeCom group robot: Markdown of 4,096 bytes, and the chart as a second message; 20 a minute, hence 18."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import urlencode

from pydantic import SecretStr

from notifier import chat
from notifier.http import Http, Reply, json_bytes
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

CONTENT = 4_096
IMAGE = 2_000_000
_CODES = {
    -1: (Answer.RETRY, Cause.SERVER, 5.0),
    45009: (Answer.RETRY, Cause.RATE, 60.0),
    45033: (Answer.RETRY, Cause.RATE, 5.0),
    93000: (Answer.RETRY, Cause.AUTH, None),  # no such key
    45002: (Answer.PERMANENT, Cause.TOO_LARGE, None),
    40058: (Answer.PERMANENT, Cause.REJECTED, None),
}
_COLOURS = {"critical": "warning", "warning": "warning", "info": "comment", "resolved": "info"}
_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class WeComOptions(Options):
    key: Secret
    api_url: SecretUrl = SecretStr("https://qyapi.weixin.qq.com")


class WeComChannel:
    Config = WeComOptions
    name = "wecom"
    capabilities = Capabilities(image=True)
    limits = Limits(body_bytes=IMAGE * 4 // 3 + 1_000, per_minute=18)

    def __init__(self, config: WeComOptions, http: Http) -> None:
        query = urlencode({"key": config.key.get_secret_value()})
        self._url = f"{config.api_url.get_secret_value().rstrip('/')}/cgi-bin/webhook/send?{query}"
        self._http = http

    def fits(self, message: Message) -> bool:
        everything = _text(message, chat.ROOMY)
        return chat.size(everything) <= CONTENT and _text(message, CONTENT) == everything

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = json_bytes({"msgtype": "markdown", "markdown": {"content": _text(message, CONTENT)}})
        result = await chat.post(self._http, self._url, body, now, _judge)
        if result.answer is Answer.DONE and message.image and len(message.image) <= IMAGE:
            await chat.post(self._http, self._url, _picture(message.image), now, _judge)
            result = replace(result, requests=2)
        return result  # the words are what counts: a picture that fails is not sent again


def _text(message: Message, room: int) -> str:
    called = "".join(f" <@{name}>" for name in message.mention[:10] if _USER.fullmatch(name))
    dialect = chat.Dialect(
        escape=chat.neutral,
        title=lambda text: f'<font color="{_COLOURS.get(message.severity, "comment")}">{text}</font>',
    )
    return chat.compose(message, dialect, room - chat.size(called)) + called


def _picture(image: bytes) -> bytes:
    """`md5` is of the bytes before base64."""
    picture = {
        "base64": base64.b64encode(image).decode(),
        "md5": hashlib.md5(image, usedforsecurity=False).hexdigest(),
    }
    return json_bytes({"msgtype": "image", "image": picture})


def _judge(reply: Reply) -> SendResult:
    return chat.coded(reply, "errcode", _CODES)
