"""Microsoft Teams through a Workflows URL: an Adaptive Card.

202 means that the flow took the card, not that it was posted: the flow may still fail, and only Teams knows.
"""

from __future__ import annotations

from typing import Any

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, SecretUrl
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

_COLOURS = {"critical": "Attention", "warning": "Warning", "info": "Accent", "resolved": "Good"}


class TeamsOptions(Options):
    url: SecretUrl


class TeamsChannel:
    Config = TeamsOptions
    name = "teams"
    capabilities = Capabilities(buttons=True)
    limits = Limits(body_bytes=27_000, per_second=3, per_minute=60)

    def __init__(self, config: TeamsOptions, http: Http) -> None:
        self._url = config.url.get_secret_value()
        self._http = http

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: _payload(message, room), 20_000, self.limits.body_bytes)
        return await chat.post(self._http, self._url, body, now, _judge)


def _payload(message: Message, room: int) -> dict[str, Any]:
    title = chat.cut(chat.one_line(message.title), 300)
    facts = [
        {"title": chat.cut(chat.one_line(name), 60), "value": chat.cut(chat.one_line(value), room // 20)}
        for name, value in message.fields[:20]
    ]
    bare = Message(key="", title="", body=message.body, locale=message.locale, why=message.why)
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": title,
            "weight": "Bolder",
            "size": "Medium",
            "color": _COLOURS.get(message.severity, "Default"),
            "wrap": True,
        }
    ]
    if facts:
        body.append({"type": "FactSet", "facts": facts})
    text = chat.compose(bare, chat.Dialect(escape=chat.neutral, newline="\n\n"), room // 2, title=False)
    body.append({"type": "TextBlock", "text": text.strip(), "wrap": True})
    links = [(button.label, button.url) for button in message.buttons[:5]]
    if message.link:
        links.append((chat.open_label(message), message.link))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": chat.cut(label, 60), "url": url} for label, url in links
        ],
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _judge(_reply: Reply) -> SendResult:
    return chat.DONE
