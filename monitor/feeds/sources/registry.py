"""The table of sources: type to dotted path, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from config.plugins import FeedSettings
from config.regions import Regions
from monitor.feeds.desk import Desk
from monitor.feeds.registry import FeedConfigError, line
from monitor.feeds.sources.base import Source

SOURCES: Final[Mapping[str, str]] = {
    "folder": "monitor.feeds.sources.folder:Folder",
    "kafka": "monitor.feeds.sources.kafka:Kafka",
}


def build_sources(sections: Mapping[str, FeedSettings], places: Regions, desk: Desk | None) -> list[Source]:
    """Every source of the config; `desk` None: only to see whether they can be built. Raises `FeedConfigError` with every problem of all of them."""
    built: list[Source] = []
    problems: list[str] = []
    for name, section in sections.items():
        kind = section.type or name
        if kind not in SOURCES:
            problems.append(f"sources.{name}: no source {kind!r}; there are: {', '.join(sorted(SOURCES))}")
            continue
        module, _, title = SOURCES[kind].partition(":")
        plugin: Any = getattr(importlib.import_module(module), title)
        try:
            built.append(plugin(name, plugin.Options.model_validate(section.reveal()), places, desk))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems += [line("sources", name, one) for one in found]
        except Exception as error:  # noqa: BLE001 - a missing extra, told with its place
            problems.append(f"sources.{name}: {error}")
    if problems:
        raise FeedConfigError(problems)
    return built
