"""PagerDuty Events v2: an incident of ours is one alert of theirs, by dedup_key; sending again is harmless."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

SUMMARY = 1_024
_SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info", "resolved": "info"}


class PagerDutyOptions(Options):
    routing_key: Secret = Field(description="32 characters, of an Events API v2 integration")
    source: str = "forestall"
    api_url: SecretUrl = SecretStr("https://events.pagerduty.com")


class PagerDutyChannel:
    Config = PagerDutyOptions
    name = "pagerduty"
    capabilities = Capabilities(thread=True, buttons=True, image_url=True, idempotent=True, acknowledge=True)
    limits = Limits(body_bytes=512_000)

    def __init__(self, config: PagerDutyOptions, http: Http) -> None:
        self._config = config
        self._http = http

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: self._event(message, now, room), 100_000, self.limits.body_bytes)
        url = f"{self._config.api_url.get_secret_value().rstrip('/')}/v2/enqueue"
        return await chat.post(self._http, url, body, now, _judge)

    def _event(self, message: Message, now: Instant, room: int) -> dict[str, Any]:
        action = "resolve" if message.severity == "resolved" else "trigger"
        if message.variables.get("reason") == "acknowledged":
            action = "acknowledge"
        event: dict[str, Any] = {
            "routing_key": self._config.routing_key.get_secret_value(),
            "event_action": action,
            "dedup_key": (message.thread or message.key)[:255],
        }
        if action != "trigger":
            return event
        started = datetime.fromtimestamp((message.started_at or now) / 1000, UTC)
        details = {chat.cut(name, 100): chat.cut(value, room // 40) for name, value in message.fields[:40]}
        links = [(button.label, button.url) for button in message.buttons]
        if message.link:
            links.append((chat.open_label(message), message.link))
        return {
            **event,
            "client": "Forestall",
            "links": [{"href": url, "text": label} for label, url in links],
            **({"images": [{"src": message.image_url, "alt": "chart"}]} if message.image_url else {}),
            "payload": {
                "summary": chat.cut(chat.one_line(message.title) or "-", SUMMARY, len),
                "source": self._config.source,
                "severity": _SEVERITIES.get(message.severity, "warning"),
                "timestamp": started.isoformat().replace("+00:00", "Z"),
                "component": message.labels.get("place", "")[:255],
                "class": message.labels.get("kind", "")[:255],
                "custom_details": {
                    **details,
                    "text": chat.cut(chat.clean(message.body), room // 4),
                    "why": chat.one_line(message.why),
                },
            },
        }


def _judge(reply: Reply) -> SendResult:
    return chat.DONE if reply.object().get("status") == "success" else chat.LOST
