"""A sign of life to a watcher outside: its silence is the alarm, as a dead daemon cannot raise one."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from config.settings import NotifySettings
from detectors.findings import Instant
from notifier.http import Http
from notifier.sending import SendResult

log = structlog.get_logger(__name__)


class Heartbeat:
    """Wiring: `schedule.every(notify.heartbeat_seconds, "heartbeat", heartbeat.beat)`, where a URL is set."""

    def __init__(self, settings: NotifySettings, http: Http, healthy: Callable[[], bool]) -> None:
        self._url = settings.heartbeat_url
        self._http = http
        self._healthy = healthy

    async def beat(self, _now: Instant) -> bool:
        """Whether the watcher heard it. A daemon whose loops stand still says nothing."""
        if self._url is None or not self._healthy():
            return False
        reply = await self._http.request("GET", self._url.get_secret_value())
        heard = not isinstance(reply, SendResult) and reply.ok
        if not heard:
            status = reply.detail if isinstance(reply, SendResult) else reply.status
            log.warning("heartbeat.unheard", status=status)
        return heard
