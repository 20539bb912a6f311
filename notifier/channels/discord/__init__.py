"""Discord webhook: an embed, with the chart as an attached file. Limits also come in headers, so 429 rules."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from notifier import chat
from notifier.http import Http, Reply, classify, json_bytes, retry_after
from notifier.options import Options, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

DESCRIPTION = 3_500  # of 4,096; all of an embed may be 6,000
FIELDS = 25


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

    async def send(self, message: Message, now: Instant) -> SendResult:
        value = json_bytes(_payload(message))
        kind, body = "application/json", value
        if message.image:
            boundary = "forestall-" + hashlib.blake2b(message.key.encode(), digest_size=12).hexdigest()
            kind, body = (
                f"multipart/form-data; boundary={boundary}",
                _multipart(boundary, value, message.image),
            )
        reply = await self._http.request("POST", self._url, headers={"content-type": kind}, body=body)
        if isinstance(reply, SendResult):
            return reply
        return _judge(reply, now)


def _payload(message: Message) -> dict[str, Any]:
    bare = Message(
        key="", title="", body=message.body, locale=message.locale, why=message.why, buttons=message.buttons
    )
    room = 900
    fields = []
    for name, value in message.fields[:FIELDS]:
        field = {
            "name": chat.cut(chat.neutral(chat.one_line(name)) or "-", 80, len),
            "value": chat.cut(chat.neutral(chat.one_line(value)) or "-", 300, len),
            "inline": True,
        }
        room -= len(str(field["name"])) + len(str(field["value"]))
        if room < 0:
            break
        fields.append(field)
    embed: dict[str, Any] = {
        "title": chat.cut(chat.neutral(chat.one_line(message.title)) or "-", 256, len),
        "description": chat.compose(bare, chat.MARKDOWN, DESCRIPTION, measure=len, title=False).strip(),
        "color": int(chat.COLOURS.get(message.severity, "#1565c0")[1:], 16),
        "fields": fields,
    }
    if message.link:
        embed["url"] = message.link
    if message.image:
        embed["image"] = {"url": "attachment://chart.png"}
    return {"content": "", "embeds": [embed], "allowed_mentions": {"parse": []}}


def _multipart(boundary: str, payload: bytes, image: bytes) -> bytes:
    parts = (
        ('name="payload_json"', b"application/json", payload),
        ('name="files[0]"; filename="chart.png"', b"image/png", image),
    )
    body = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\nContent-Type: %s\r\n\r\n%s\r\n"
        % (boundary.encode(), name.encode(), kind, data)
        for name, kind, data in parts
    )
    return body + b"--%s--\r\n" % boundary.encode()


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
