"""Alertmanager's API v2: each incident is an alert there; grouping and silences may then be Alertmanager's.

Labels are the identity, so only what cannot change while an incident lasts is a label. A firing alert is to be sent
again before `endsAt`: give the route a `repeat_interval_seconds` below half of `resolve_seconds` and a
`group_interval_seconds` of a minute.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import Field, model_validator

from notifier import chat
from notifier.http import Http, Reply
from notifier.options import InsideUrl, Options, Secret, http_url
from notifier.sending import Capabilities, Instant, Limits, Message, SendResult

STABLE = ("kind", "place_type", "place", "incident", "severity")
_NAME = re.compile(r"[^a-zA-Z0-9_]")


class AlertmanagerOptions(Options):
    url: InsideUrl = Field(
        description="http(s)://host:9093, the part before /api/v2; with a password or token https, but on this machine"
    )
    bearer: Secret | None = None
    username: str = ""
    password: Secret | None = None
    resolve_seconds: int = Field(
        3_600, ge=60, description="an alert not sent again for so long resolves itself"
    )
    labels: Mapping[str, str] = Field({}, description="added to every alert: the shop, the environment")

    @model_validator(mode="after")
    def _secrets_are_sealed(self) -> Self:
        if self.bearer is not None or self.password is not None:
            http_url(self.url)
        return self


class AlertmanagerChannel:
    Config = AlertmanagerOptions
    name = "alertmanager"
    capabilities = Capabilities(thread=True, image_url=True, idempotent=True)
    limits = Limits(body_bytes=1_000_000)

    def __init__(self, config: AlertmanagerOptions, http: Http) -> None:
        self._config = config
        self._http = http

    async def send(self, message: Message, now: Instant) -> SendResult:
        body = chat.fit(lambda room: self._alerts(message, now, room), 200_000, self.limits.body_bytes)
        url = f"{self._config.url.get_secret_value().rstrip('/')}/api/v2/alerts"
        return await chat.post(self._http, url, body, now, _judge, self._headers())

    def _headers(self) -> dict[str, str]:
        if self._config.bearer is not None:
            return {"authorization": f"Bearer {self._config.bearer.get_secret_value()}"}
        if self._config.username and self._config.password is not None:
            pair = f"{self._config.username}:{self._config.password.get_secret_value()}"
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}

    def _alerts(self, message: Message, now: Instant, room: int) -> list[dict[str, Any]]:
        listed = message.variables.get("incidents")
        incidents = (
            listed
            if isinstance(listed, list) and listed
            else [
                {
                    "labels": message.labels,
                    "since": message.started_at,
                    "resolved_at": message.ended_at,
                    "url": message.link,
                }
            ]
        )
        return [self._alert(message, incident, now, room // len(incidents)) for incident in incidents]

    def _alert(
        self, message: Message, incident: Mapping[str, Any], now: Instant, room: int
    ) -> dict[str, Any]:
        given = incident["labels"]
        family = given.get("kind", "incident")
        labels = {"alertname": "Forestall" + "".join(part.title() for part in family.split("_"))}
        labels |= {name: given[name] for name in STABLE if given.get(name)}
        labels |= self._config.labels
        changing = {name: value for name, value in given.items() if name not in STABLE}
        annotations = {
            "summary": chat.cut(chat.one_line(message.title), 500),
            "description": chat.cut(chat.clean(message.body), room // 4),
            "why": chat.one_line(message.why),
            "chart": message.image_url or "",
            **dict(message.fields),
            **changing,
        }
        ends_at = incident["resolved_at"] or now + 1000 * self._config.resolve_seconds
        alert: dict[str, Any] = {
            "labels": {_label(name): chat.cut(chat.one_line(value), 200) for name, value in labels.items()},
            "annotations": {
                _label(name): chat.cut(chat.clean(value), max(60, room // 40))
                if name != "description"
                else value
                for name, value in list(annotations.items())[:40]
                if value
            },
            "startsAt": _time(incident["since"] or now),
            "endsAt": _time(ends_at),
        }
        return {**alert, "generatorURL": incident["url"]} if incident.get("url") else alert


def _label(name: str) -> str:
    """The classic character set: old versions refuse any other, new ones take it as it is."""
    text = _NAME.sub("_", name)
    return text if text and not text[0].isdigit() else f"_{text}"


def _time(at: Instant) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _judge(_reply: Reply) -> SendResult:
    return chat.DONE
