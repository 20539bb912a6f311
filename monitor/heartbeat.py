"""A sign of life to a watcher outside: its silence is the alarm, as a dead daemon cannot raise one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from config.settings import NotifySettings
from detectors.findings import Instant
from notifier.http import Http
from notifier.sending import SendResult

SECONDS: Final = 5.0
SLACK_MS: Final = 1000  # a run that comes a little early must not wait for the next
log = structlog.get_logger(__name__)


class Heartbeat:
    """Wiring: `schedule.every(SECONDS, "heartbeat", heartbeat.beat)`. Asked more often than it beats, so that a reload
    may set the URL and the interval.
    """

    def __init__(
        self, settings: Callable[[], NotifySettings], http: Http, healthy: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._due: Instant = 0
        self._http = http
        self._healthy = healthy

    async def beat(self, now: Instant) -> bool:
        """Whether the watcher heard it now. A daemon whose loops stand still says nothing."""
        settings = self._settings()
        every = 1000 * settings.heartbeat_seconds
        early = 0 < self._due - now <= every  # more: the clock was set back
        if settings.heartbeat_url is None or early or not self._healthy():
            return False
        self._due = now + every - SLACK_MS
        reply = await self._http.request("GET", settings.heartbeat_url.get_secret_value())
        heard = not isinstance(reply, SendResult) and reply.ok
        if not heard:
            status = reply.detail if isinstance(reply, SendResult) else reply.status
            log.warning("heartbeat.unheard", status=status)
        return heard
