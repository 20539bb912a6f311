"""DingTalk custom robot: Markdown, or an action card where there are links (buttons open URLs, nothing calls back).

A picture is a URL in the Markdown, fetched when somebody reads it. More than 20 messages a minute block the robot for ten minutes, hence 18. The signature is encoded once.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

BLOCKED_SECONDS = 600.0
TEXT = 18_000
_CODES = {
    -1: (Answer.RETRY, Cause.SERVER, 5.0),
    130101: (Answer.RETRY, Cause.RATE, BLOCKED_SECONDS),
    410100: (Answer.RETRY, Cause.RATE, BLOCKED_SECONDS),
    310000: (Answer.RETRY, Cause.AUTH, None),  # signature, keyword or address not allowed
    300001: (Answer.RETRY, Cause.AUTH, None),  # no such token
    300005: (Answer.RETRY, Cause.AUTH, None),
    400101: (Answer.RETRY, Cause.AUTH, None),  # no such token
    400102: (Answer.RETRY, Cause.AUTH, None),  # the robot was stopped
    400106: (Answer.RETRY, Cause.AUTH, None),  # the robot is gone
    400013: (Answer.PERMANENT, Cause.REJECTED, None),
    460101: (Answer.PERMANENT, Cause.TOO_LARGE, None),
    101002: (Answer.PERMANENT, Cause.TOO_LARGE, None),
}


class DingTalkOptions(Options):
    access_token: Secret
    secret: Secret | None = Field(None, description="SEC..., where the robot signs")
    keyword: str = Field("", description="where the robot asks for one: added to titles that lack it")
    api_url: SecretUrl = SecretStr("https://oapi.dingtalk.com")


class DingTalkChannel:
    Config = DingTalkOptions
    name = "dingtalk"
    capabilities = Capabilities(buttons=True, image_url=True)
    limits = Limits(body_bytes=20_000, per_minute=18)

    def __init__(self, config: DingTalkOptions, http: Http) -> None:
        self._config = config
        self._http = http

    def fits(self, message: Message) -> bool:
        return chat.whole(lambda room: self._payload(message, room), TEXT, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: self._payload(message, room), TEXT, self.limits.body_bytes)
        return await chat.post(self._http, self._url(now), body, now, _judge)

    def _url(self, now: Instant) -> str:
        query = {"access_token": self._config.access_token.get_secret_value()}
        if self._config.secret is not None:
            query |= {"timestamp": str(now), "sign": sign(self._config.secret.get_secret_value(), now)}
        return f"{self._config.api_url.get_secret_value().rstrip('/')}/robot/send?{urlencode(query)}"

    def _payload(self, message: Message, room: int) -> dict[str, Any]:
        title = chat.cut(chat.neutral(chat.one_line(message.title)), 200)
        text = chat.compose(message, _DIALECT, room, buttons=False)
        keyword = self._config.keyword
        if keyword and keyword not in title + text:
            text += f"\n\n{keyword}"
        if message.image_url:
            text += f"{_DIALECT.newline}![]({message.image_url})"
        links = [(button.label, button.url) for button in message.buttons]
        if message.link:
            links.append((chat.open_label(message), message.link))
        if links and not message.mention:
            buttons = [{"title": chat.cut(label, 60), "actionURL": url} for label, url in links[:6]]
            card = {"title": title, "text": text, "btnOrientation": "1", "btns": buttons}
            return {"msgtype": "actionCard", "actionCard": card}
        mobiles = [name for name in message.mention if name.isdigit()]
        users = [name for name in message.mention if not name.isdigit()]
        called = "".join(f" @{name}" for name in (*mobiles, *users))
        if links:
            text += _DIALECT.newline + " · ".join(f"[{label}]({url})" for label, url in links)
        return {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": text + called},
            "at": {"atMobiles": mobiles, "atUserIds": users, "isAtAll": False},
        }


_DIALECT = chat.Dialect(escape=chat.neutral, newline="\n\n")  # a single line end is a space here


def sign(secret: str, now: Instant) -> str:
    """Base64, not yet URL-encoded: encoding it here and again in the query is the usual mistake."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{now}\n{secret}".encode(), "sha256")).decode()


def _judge(reply: Reply) -> SendResult:
    return chat.coded(reply, "errcode", _CODES)
