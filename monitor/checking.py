"""Whether a config would do for a start: everything is looked at, nothing is opened."""

from __future__ import annotations

from config.loading import ConfigError
from config.settings import Settings
from monitor.assembly import check_parts
from monitor.audience import check_audience
from monitor.feeds.station import check_feeds


def check_config(settings: Settings) -> None:
    """Raises `ConfigError` with every problem."""
    problems: list[str] = []
    for part in (check_parts, check_feeds, check_audience):
        try:
            part(settings)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
