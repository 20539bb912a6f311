"""`forestall connect FEED`: what to paste where, a signed sample through the feed itself, and what is still missing.

Pure: no network and no daemon. The sample is signed and read by the feed as configured, so a wrong option shows here.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from config.regions import Regions
from config.settings import Settings
from monitor.feeds.base import Event, Feed, Push, Rejected, Unreadable
from monitor.feeds.guides import GUIDES, Guide
from monitor.feeds.registry import FEEDS, FeedConfigError, build

HERE: Final = "http://{host}:{port}"
WANTED: Final[Mapping[str, str]] = {
    "order": "orders: without them nobody is known to write to, and nothing is known of amounts and promises",
    "tracking": "tracking: without it no parcel can be seen standing still",
    "complaint": "complaints: without them spikes are not seen, and a customer who already talks to you may get an apology",
}


@dataclass(slots=True)
class Connection:
    name: str
    kind: str
    url: str
    guide: Guide
    config: str
    problems: list[str] = field(default_factory=list)  # of the config: the feed does not start with these
    events: list[Event] = field(default_factory=list)  # what the sample became
    missing: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        return not self.problems


def connect(name: str, settings: Settings, places: Regions, now: int) -> Connection:
    """Raises `FeedConfigError` where there is no such feed."""
    section = settings.feeds.get(name)
    kind = (section.type if section else None) or name
    if kind not in FEEDS:
        raise FeedConfigError([f"no feed {kind!r}; there are: {', '.join(sorted(FEEDS))}"])
    guide = GUIDES[kind]
    url = f"{public_url(settings)}/v1/feeds/{name}"
    config = f"[feeds.{name}]\n{guide.config}".replace("feeds.NAME", f"feeds.{name}")
    guide = replace_url(guide, url)
    found = Connection(name, kind, url, guide, config)
    if section is None:
        found.problems.append(f"feeds.{name}: not in the config yet; paste the section above")
    else:
        try:
            _try(found, build(name, section, places), now)
        except FeedConfigError as error:
            found.problems += error.problems
    found.missing = _missing(settings, kind)
    return found


def _try(found: Connection, feed: Feed, now: int) -> None:
    pushed = sample(feed, now)
    if pushed is None:
        found.missing.append(
            "no sample is known for a mapping of your own: send one of yours to see its events"
        )
        return
    try:
        feed.verify(pushed)
        parsed = feed.parse(pushed)
    except (Rejected, Unreadable) as error:
        found.problems.append(
            f"feeds.{found.name}: its own sample was refused: {type(error).__name__} {error}"
        )
        return
    found.events = parsed.events


def sample(feed: Feed, now: int) -> Push | None:
    """A push as the provider would send it, signed with the configured secret; all its values are made up."""
    folder = importlib.resources.files("monitor.feeds").joinpath(_folder(feed.kind))
    file = folder.joinpath("sample.json")
    if not file.is_file():
        return None
    said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    body = json.dumps(said["body"], ensure_ascii=False).encode()
    return feed.sign(body, now, said.get("headers", {}), said.get("query", {}))


def _folder(kind: str) -> str:
    return FEEDS[kind].partition(":")[0].rpartition(".")[2]


def replace_url(guide: Guide, url: str) -> Guide:
    return guide._replace(steps=tuple(step.replace("{url}", url) for step in guide.steps))


def public_url(settings: Settings) -> str:
    if settings.http.public_url:
        return settings.http.public_url.rstrip("/")
    return HERE.format(host=settings.http.host, port=settings.http.port)


def _missing(settings: Settings, kind: str) -> list[str]:
    found: list[str] = []
    url = settings.http.public_url
    if url is None:
        found.append("http.public_url: the provider must reach the daemon from outside, over https")
    elif not url.startswith("https://"):
        found.append("http.public_url: should begin with https://, as payloads hold personal data")
    kinds = {kind, *((section.type or name) for name, section in settings.feeds.items())}
    given = {_gives(settings, one) for one in kinds}
    found += [f"no feed of {text}" for wanted, text in WANTED.items() if wanted not in given]
    return found


def _gives(settings: Settings, kind: str) -> str:
    """A generic feed gives what its map says."""
    if kind == "generic":
        for name, section in settings.feeds.items():
            options = section.reveal()
            if (section.type or name) == "generic" and isinstance(options.get("map"), dict):
                return str(options["map"].get("event", ""))
    return GUIDES[kind].gives if kind in GUIDES else ""


def record(found: Connection) -> dict[str, Any]:
    """For `--json`."""
    return {
        "feed": found.name,
        "type": found.kind,
        "url": found.url,
        "steps": list(found.guide.steps),
        "notes": list(found.guide.notes),
        "config": found.config,
        "ready": found.ready,
        "problems": found.problems,
        "sample_events": found.events,
        "missing": found.missing,
    }
