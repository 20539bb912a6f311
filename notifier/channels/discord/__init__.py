"""Discord webhook: an embed, with the chart as an attached file. Limits also come in headers, so 429 rules."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from notifier import chat
from notifier.http import Http, Reply, classify, json_bytes, retry_after
from notifier.options import Options, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

DESCRIPTION = 3_500  # of 4,096; all of an embed may be 6,000
FIELDS = 25
_MEMBER = re.compile(r"[0-9]{17,20}")


class DiscordOptions(Options):
    url: SecretUrl
    thread_id: str = ""


class DiscordChannel:
    Config = DiscordOptions
    name = "discord"
    capabilities = Capabilities(image=True)
    limits = Limits(body_bytes=8_000_000, per_minute=25)

    def __init__(self, config: DiscordOptions, http: Http) -> None:
        parts = urlsplit(config.url.get_secret_value())
        query = {**dict(parse_qsl(parts.query)), "wait": "true"}
        if config.thread_id:
            query["thread_id"] = config.thread_id
        self._url = urlunsplit(parts._replace(query=urlencode(query)))
        self._http = http

    def fits(self, message: Message) -> bool:
        return _payload(message) == _payload(message, chat.ROOMY)

    async def send(self, message: Message, now: Instant) -> SendResult:
        value = json_bytes(_payload(message))
        kind, body = "application/json", value
        if message.image:
            kind, body = chat.multipart(
                chat.boundary(message.key),
                (
                    ('name="payload_json"', "application/json", value),
                    ('name="files[0]"; filename="chart.png"', "image/png", message.image),
                ),
            )
        reply = await self._http.request("POST", self._url, headers={"content-type": kind}, body=body)
        if isinstance(reply, SendResult):
            return reply
        return _judge(reply, now)


def _payload(message: Message, room: int = DESCRIPTION) -> dict[str, Any]:
    bare = Message(
        key="", title="", body=message.body, locale=message.locale, why=message.why, buttons=message.buttons
    )
    embed: dict[str, Any] = {
        "title": chat.cut(chat.neutral(chat.one_line(message.title)) or "-", 256, len),
        "description": chat.compose(bare, chat.MARKDOWN, room, measure=len, title=False).strip(),
        "color": int(chat.COLOURS.get(message.severity, "#1565c0")[1:], 16),
        "fields": _fields(message, room),
    }
    if message.link:
        embed["url"] = message.link
    if message.image:
        embed["image"] = {"url": "attachment://chart.png"}
    called = [name for name in message.mention[:10] if _MEMBER.fullmatch(name)]
    mentions = {"parse": [], "users": called} if called else {"parse": []}
    content = " ".join(f"<@{name}>" for name in called)
    return {"content": content, "embeds": [embed], "allowed_mentions": mentions}


def _fields(message: Message, room: int) -> list[dict[str, Any]]:
    """As many as 900 characters hold: the embed as a whole may have 6,000."""
    roomy, left = room >= chat.ROOMY, 900
    fields: list[dict[str, Any]] = []
    for name, value in message.fields if roomy else message.fields[:FIELDS]:
        name_text = chat.neutral(chat.one_line(name)) or "-"
        value_text = chat.neutral(chat.one_line(value)) or "-"
        if not roomy:
            name_text, value_text = chat.cut(name_text, 80, len), chat.cut(value_text, 300, len)
            left -= len(name_text) + len(value_text)
            if left < 0:
                break
        fields.append({"name": name_text, "value": value_text, "inline": True})
    return fields


def _judge(reply: Reply, now: Instant) -> SendResult:
    if reply.status == 429:
        wait = reply.object().get("retry_after")
        seconds = float(wait) if isinstance(wait, int | float) else retry_after(reply.headers, now)
        return SendResult(Answer.RETRY, Cause.RATE, seconds, detail="429")
    result = classify(reply, now)
    if result.answer is not Answer.DONE:
        return result
    posted = reply.object().get("id")
    return SendResult(Answer.DONE, provider_id=posted) if isinstance(posted, str) else chat.LOST
