"""What SIGTERM, SIGINT and SIGHUP do while a daemon starts, runs and stops: the first two end it in order, however often
they come; SIGHUP reads the config again. Before its loop runs SIGHUP is ignored, and the others end the process at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)
ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class Signals:
    """`stopping` is set by the first SIGTERM or SIGINT. `reload` is what SIGHUP does, None while there is nothing to reload."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reload: Callable[[], None] | None = None

    @contextmanager
    def heard(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        try:
            yield
        finally:
            for number in (*ENDING, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _hang_up(self) -> None:
        if self.reload is None:
            log.info(
                "config.not_reloaded", problems=["it is starting or stopping, and a start reads the config"]
            )
        else:
            self.reload()
