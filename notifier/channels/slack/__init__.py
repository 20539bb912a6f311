"""Slack incoming webhook: one channel, no threads, no edits; success is the body `ok`.

A picture is fetched by Slack from its URL while the message is posted; where it cannot be, Slack refuses the whole
message, and it is posted again without.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, SecretUrl
from notifier.sending import Answer, Capabilities, Instant, Limits, Message, SendResult

BLOCKS_TOTAL = 12_000  # Slack refuses some 13,200 characters of blocks, which it does not document
SECTION = 3_000
AROUND = 4_000  # of the total, for title, fields, reason and labels
FIELDS, FIELD = 10, 300
_MEMBER = re.compile(r"[UW][A-Z0-9]{4,20}")
_TEAM = re.compile(r"S[A-Z0-9]{4,20}")


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
        shown = [_marked(line) for line in _fields(message, room)]
        parts.append({"type": "section", "fields": shown})
    parts += [{"type": "section", "text": _marked(text)} for text in _sections(message, room)]
    if message.image_url:
        alt = chat.cut(chat.one_line(message.title) or "-", 150, len)
        parts.append({"type": "image", "image_url": message.image_url, "alt_text": alt})
    why = chat.why_line(message, chat.SLACK)
    if why:
        parts.append({"type": "context", "elements": [_marked(chat.cut(why, 300, len))]})
    buttons = [_button(button.label, button.url, button.style) for button in message.buttons[:5]]
    if message.link:
        buttons.append(_button(chat.open_label(message), message.link, "default"))
    if buttons:
        parts.append({"type": "actions", "elements": buttons})
    return parts


def _marked(text: str) -> dict[str, Any]:
    """Verbatim: Slack makes nothing of plain text, no link of a name and no mention of a word."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _fields(message: Message, room: int) -> list[str]:
    lines = chat.field_lines(message, chat.SLACK)
    if room >= chat.ROOMY:
        return lines
    return [chat.cut(line, min(FIELD, max(40, room // 20)), len) for line in lines[:FIELDS]]


def _sections(message: Message, room: int) -> list[str]:
    """The body, as few sections as hold it; title, fields, reason and links have blocks of their own."""
    bare = Message(key=message.key, title="", body=message.body, locale=message.locale)
    space = room if room >= chat.ROOMY else max(200, room - AROUND)
    text = chat.compose(bare, chat.SLACK, space, measure=len, title=False, buttons=False)
    sections: list[str] = []
    for line in (called(message) + text.strip()).splitlines():
        if sections and len(sections[-1]) + 1 + len(line) <= SECTION:
            sections[-1] += f"\n{line}"
        else:
            sections.append(line)
    return [section for section in sections if section.strip()]


def called(message: Message) -> str:
    """Members and user groups by their ids; other names belong to other chats."""
    members = [f"<@{name}>" for name in message.mention if _MEMBER.fullmatch(name)]
    teams = [f"<!subteam^{name}>" for name in message.mention if _TEAM.fullmatch(name)]
    return " ".join([*members, *teams]) + "\n" if members or teams else ""


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
    capabilities = Capabilities(buttons=True, image_url=True)
    limits = Limits(body_bytes=40_000, per_second=1, per_minute=50)

    def __init__(self, config: SlackOptions, http: Http) -> None:
        self._url = config.url.get_secret_value()
        self._http = http

    def fits(self, message: Message) -> bool:
        return chat.whole(lambda room: payload(message, room), BLOCKS_TOTAL, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: payload(message, room), BLOCKS_TOTAL, self.limits.body_bytes)
        result = await chat.post(self._http, self._url, body, now, _judge)
        if message.image_url and result.answer is Answer.PERMANENT and result.detail == "400":
            return await self.send(replace(message, image_url=None), now)
        return result


def _judge(reply: Reply) -> SendResult:
    return chat.DONE if reply.body.strip() == b"ok" else chat.LOST
