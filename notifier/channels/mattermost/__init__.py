"""Mattermost incoming webhook: success is the body `ok`; no threads, no edits; the chart by its URL."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, SecretUrl
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

TEXT = 16_383
_USER = re.compile(r"[a-z][a-z0-9._-]{0,63}")


class MattermostOptions(Options):
    url: SecretUrl
    channel: str = Field("", description="another channel than the webhook's own")
    username: str = ""


class MattermostChannel:
    Config = MattermostOptions
    name = "mattermost"
    capabilities = Capabilities(image_url=True)
    limits = Limits(body_bytes=80_000, per_second=5, per_minute=100)

    def __init__(self, config: MattermostOptions, http: Http) -> None:
        self._config = config
        self._http = http

    def fits(self, message: Message) -> bool:
        return chat.whole(lambda room: self._payload(message, room), TEXT, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: self._payload(message, room), TEXT, self.limits.body_bytes)
        return await chat.post(self._http, self._config.url.get_secret_value(), body, now, _judge)

    def _payload(self, message: Message, room: int) -> dict[str, Any]:
        called = "".join(f"@{name} " for name in message.mention[:10] if _USER.fullmatch(name))
        text = called + chat.compose(message, chat.MARKDOWN, room - len(called), measure=len)
        payload: dict[str, Any] = {"text": text}
        if self._config.channel:
            payload["channel"] = self._config.channel
        if self._config.username:
            payload["username"] = self._config.username
        if message.image_url:
            payload["attachments"] = [{"fallback": "chart", "image_url": message.image_url}]
        if message.severity == "critical":
            payload["priority"] = {"priority": "important"}
        return payload


def _judge(reply: Reply) -> SendResult:
    return chat.DONE if reply.body.strip() == b"ok" else chat.LOST
