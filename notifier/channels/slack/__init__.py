"""Slack incoming webhook: one channel, no threads, no edits; success is the body `ok`."""

from __future__ import annotations

from typing import Any

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, SecretUrl
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

BLOCKS_TOTAL = 12_000  # Slack refuses some 13,200 characters of blocks, which it does not document
SECTION = 3_000


class SlackOptions(Options):
    url: SecretUrl


def blocks(message: Message, room: int) -> list[dict[str, Any]]:
    """Block Kit, within its limits: header 150, section 3,000, ten fields of 2,000, button label 75."""
    parts: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": chat.cut(chat.one_line(message.title) or "-", 150, len)},
        }
    ]
    if message.fields:
        room_each = min(300, max(40, room // 20))
        lines = chat.field_lines(message, chat.SLACK)
        shown = [chat.cut(line, room_each, len) for line in lines[:10]]
        parts.append({"type": "section", "fields": [{"type": "mrkdwn", "text": line} for line in shown]})
    body = chat.compose(
        _bare(message), chat.SLACK, min(SECTION, room), measure=len, title=False, buttons=False
    ).strip()
    if body:
        parts.append({"type": "section", "text": {"type": "mrkdwn", "text": body}})
    why = chat.why_line(message, chat.SLACK)
    if why:
        parts.append({"type": "context", "elements": [{"type": "mrkdwn", "text": chat.cut(why, 300, len)}]})
    buttons = [_button(button.label, button.url, button.style) for button in message.buttons[:5]]
    if message.link:
        buttons.append(_button(chat.open_label(message), message.link, "default"))
    if buttons:
        parts.append({"type": "actions", "elements": buttons})
    return parts


def _bare(message: Message) -> Message:
    """Title, fields, reason and links have blocks of their own."""
    return Message(key=message.key, title="", body=message.body, locale=message.locale)


def _button(label: str, url: str, style: str) -> dict[str, Any]:
    button: dict[str, Any] = {
        "type": "button",
        "text": {"type": "plain_text", "text": chat.cut(label, 75, len)},
        "url": url,
    }
    return {**button, "style": style} if style in {"primary", "danger"} else button


def payload(message: Message, room: int) -> dict[str, Any]:
    fallback = chat.SLACK.escape(chat.cut(chat.one_line(message.title), 300, len))
    return {"text": fallback or "-", "blocks": blocks(message, room)}


class SlackChannel:
    Config = SlackOptions
    name = "slack"
    capabilities = Capabilities(buttons=True)
    limits = Limits(body_bytes=40_000, per_second=1, per_minute=50)

    def __init__(self, config: SlackOptions, http: Http) -> None:
        self._url = config.url.get_secret_value()
        self._http = http

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: payload(message, room), BLOCKS_TOTAL, self.limits.body_bytes)
        return await chat.post(self._http, self._url, body, now, _judge)


def _judge(reply: Reply) -> SendResult:
    return chat.DONE if reply.body.strip() == b"ok" else chat.LOST
