"""The table of pollers: type to dotted path, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from config.plugins import FeedSettings
from config.regions import Regions
from monitor.feeds.base import Feed
from monitor.feeds.pollers.base import ListPoller, ParcelPoller, PhoneOf, no_phone
from monitor.feeds.registry import FeedConfigError, line
from notifier.http import Http

PARCELS: Final[Mapping[str, str]] = {
    "17track": "monitor.feeds.pollers.seventeentrack:SeventeenTrackQuery",
    "kuaidi100": "monitor.feeds.pollers.kuaidi100:Kuaidi100Query",
}
WITH_PHONES: Final = frozenset({"kuaidi100"})  # some of its carriers answer only to who names the customer's
LISTS: Final[Mapping[str, str]] = {"json": "monitor.feeds.pollers.listing:Listing"}


@dataclass(slots=True)
class Pollers:
    parcels: list[ParcelPoller] = field(default_factory=list)
    lists: list[ListPoller] = field(default_factory=list)


def build_pollers(
    sections: Mapping[str, FeedSettings],
    feeds: Mapping[str, Feed],
    places: Regions,
    http: Http | None,
    phone_of: PhoneOf = no_phone,
) -> Pollers:
    """Every poller of the config; `http` None: only to see whether they can be built. Raises `FeedConfigError` with every problem of all of them."""
    built, problems = Pollers(), []
    for name, section in sections.items():
        try:
            _add(built, name, section, feeds, places, http, phone_of)
        except FeedConfigError as error:
            problems += error.problems
    if problems:
        raise FeedConfigError(problems)
    return built


def _add(
    built: Pollers,
    name: str,
    section: FeedSettings,
    feeds: Mapping[str, Feed],
    places: Regions,
    http: Http | None,
    phone_of: PhoneOf,
) -> None:
    kind = section.type or name
    known = {**PARCELS, **LISTS}
    if kind not in known:
        raise FeedConfigError([f"pollers.{name}: no poller {kind!r}; there are: {', '.join(sorted(known))}"])
    module, _, title = known[kind].partition(":")
    plugin: Any = getattr(importlib.import_module(module), title)
    try:
        options = plugin.Options.model_validate(section.reveal())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise FeedConfigError([line("pollers", name, one) for one in found]) from None
    if options.feed is not None and options.feed not in feeds:
        raise FeedConfigError([f"pollers.{name}.feed: no feed {options.feed!r} is configured"])
    if kind in LISTS:
        built.lists.append(plugin(name, options, places, http, feeds))
    else:
        more = (phone_of,) if kind in WITH_PHONES else ()
        built.parcels.append(plugin(name, options, feeds[options.feed], http, *more))
