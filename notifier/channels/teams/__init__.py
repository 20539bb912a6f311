"""Microsoft Teams through a Workflows URL: an Adaptive Card.

202 means that the flow took the card, not that it was posted: the flow may still fail, and only Teams knows. A picture
is shown from its URL where there is one (Teams fetches it), otherwise from inside the card where that leaves room.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from notifier import chat
from notifier.http import Http, Reply, json_bytes
from notifier.options import Options, SecretUrl
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

TEXT = 20_000
ROOM_OF_NAME = 60
_PERSON = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}")
_COLOURS = {"critical": "Attention", "warning": "Warning", "info": "Accent", "resolved": "Good"}


class TeamsOptions(Options):
    url: SecretUrl


class TeamsChannel:
    Config = TeamsOptions
    name = "teams"
    capabilities = Capabilities(buttons=True, image=True, image_url=True)
    limits = Limits(body_bytes=27_000, per_second=3, per_minute=60)

    def __init__(self, config: TeamsOptions, http: Http) -> None:
        self._url = config.url.get_secret_value()
        self._http = http

    def fits(self, message: Message) -> bool:
        return chat.whole(lambda room: _payload(message, room, ""), TEXT, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: _payload(message, room, ""), TEXT, self.limits.body_bytes)
        if message.image and not message.image_url:
            inside = "data:image/png;base64," + base64.b64encode(message.image).decode()
            larger = json_bytes(_payload(message, TEXT, inside))
            body = larger if len(larger) <= self.limits.body_bytes else body
        return await chat.post(self._http, self._url, body, now, _judge)


def _payload(message: Message, room: int, inside: str) -> dict[str, Any]:
    mentions = [
        {"type": "mention", "text": f"<at>{name}</at>", "mentioned": {"id": name, "name": name}}
        for name in _called(message)
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": _body(message, room, message.image_url or inside),
        "actions": _actions(message),
    }
    if mentions:
        card["msteams"] = {"entities": mentions}
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _body(message: Message, room: int, picture: str) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": chat.cut(chat.neutral(chat.one_line(message.title)), 300),
            "weight": "Bolder",
            "size": "Medium",
            "color": _COLOURS.get(message.severity, "Default"),
            "wrap": True,
        }
    ]
    if facts := _facts(message, room):
        body.append({"type": "FactSet", "facts": facts})
    bare = Message(key="", title="", body=message.body, locale=message.locale, why=message.why)
    text = chat.compose(bare, chat.Dialect(escape=chat.neutral, newline="\n\n"), room // 2, title=False)
    called = " ".join(f"<at>{name}</at>" for name in _called(message))
    body.append({"type": "TextBlock", "text": f"{text.strip()} {called}".strip(), "wrap": True})
    if picture:
        body.append({"type": "Image", "url": picture, "altText": "chart", "size": "Stretch"})
    return body


def _facts(message: Message, room: int) -> list[dict[str, str]]:
    roomy = room >= chat.ROOMY
    return [
        {
            "title": chat.cut(chat.neutral(chat.one_line(name)), ROOM_OF_NAME if not roomy else room),
            "value": chat.cut(chat.neutral(chat.one_line(value)), room // 20),
        }
        for name, value in (message.fields if roomy else message.fields[:20])
    ]


def _actions(message: Message) -> list[dict[str, Any]]:
    links = [(button.label, button.url) for button in message.buttons[:5]]
    if message.link:
        links.append((chat.open_label(message), message.link))
    return [{"type": "Action.OpenUrl", "title": chat.cut(label, 60), "url": url} for label, url in links]


def _called(message: Message) -> list[str]:
    """People by their sign-in name; phone numbers and handles belong to other chats."""
    return [name for name in message.mention[:10] if _PERSON.fullmatch(name)]


def _judge(_reply: Reply) -> SendResult:
    return chat.DONE
