"""What the console's pictures show, in numbers and in words, and where a page finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import msgspec

from config.regions import Regions, short_name
from monitor.console import drawing
from monitor.console.drawing import SIZES, Map, Place
from monitor.console.words import words
from monitor.incidents import Phase, View
from monitor.notifications.proposals import chart_of
from notifier import charts
from notifier.charts import Picture
from notifier.ops_message import moment

MOST = 200  # dots of a map, of either kind: more is a blot, and slow to draw
REACH = 40  # degrees of longitude from the middle of a country: Xinjiang, and not Guam
TOLD = 20  # of them in words
NARROW = "(max-width: 600px)"
DARK = "(prefers-color-scheme: dark)"


@dataclass(frozen=True, slots=True)
class Source:
    """One way to show a picture; the browser takes the first whose `media` holds."""

    media: str
    address: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as a page needs it. `alt` says in words what it shows."""

    kind: str
    path: str
    content: Picture | Map
    alt: str

    def sources(self, theme: str, locale: str) -> Iterator[Source]:
        """The most special first; the last one always holds. Without a chosen theme the browser's own decides."""
        for narrow in (True, False):
            for shade in (theme,) if theme else ("dark", "light"):
                media = [NARROW] if narrow else []
                media += [DARK] if shade == "dark" and not theme else []
                asked = {"lang": locale, "theme": shade, "v": digest(self.content)}
                asked |= {"narrow": "1"} if narrow else {}
                width, height = SIZES[self.kind][narrow]
                yield Source(" and ".join(media), f"{self.path}?{urlencode(asked)}", width, height)


def digest(content: Picture | Map) -> str:
    """Of what is shown and of how it is drawn: another picture has another one."""
    plain = msgspec.msgpack.encode(content)
    return hashlib.blake2b(plain + _style(), digest_size=9).hexdigest()


@cache
def _style() -> bytes:
    drawn_by = b"".join(Path(module.__file__ or "").read_bytes() for module in (drawing, charts))
    return hashlib.blake2b(drawn_by + version("matplotlib").encode()).digest()


def chart(view: View, timezone: str) -> Picture | None:
    """The backlog's forecast where there is one, else open findings over time; None where there is too little to see."""
    more = chart_of(view, view.series[-1][0] if view.series else view.since)
    if more["forecast"]:
        return Picture((), more["usual"], more["forecast"], timezone=timezone)
    return Picture(view.series, more["usual"], timezone=timezone) if len(view.series) > 1 else None


def chart_words(picture: Picture, place: str, locale: str) -> str:
    say = words(locale)

    def at(row: Sequence[float]) -> str:
        return moment(int(row[0]), picture.timezone)

    if picture.forecast:
        now, *ahead = picture.forecast
        steps = [
            say["chart_step"].format(
                at=at(row), middle=_count(row[1]), low=_count(row[2]), high=_count(row[3])
            )
            for row in ahead
        ]
        told = say["chart_forecast"].format(place=place, now=_count(now[1]), steps=say["comma"].join(steps))
    else:
        first, last = picture.points[0], picture.points[-1]
        told = say["chart_open"].format(
            place=place,
            first=_count(first[1]),
            since=at(first),
            last=_count(last[1]),
            until=at(last),
            most=_count(max(row[1] for row in picture.points)),
        )
    if picture.usual is None:
        return told
    return told + say["comma"] + say["chart_usual"].format(usual=_count(picture.usual))


def _count(number: float) -> str:
    return f"{number:,.0f}"


def open_by_region(views: Sequence[View]) -> dict[str, int]:
    """Of the firing incidents; what their causes mute would count twice."""
    places: dict[str, int] = {}
    for view in views:
        if view.phase is Phase.FIRING and not any(mute.value == "inhibited" for mute, _ in view.mutes):
            for code, count in view.regions.items():
                places[code] = places.get(code, 0) + count
    return places


def region_map(counts: Mapping[str, int], regions: Regions, locale: str) -> Map | None:
    """By provinces, as cities would hide each other; around them the provinces beside. None where none is known."""
    totals: dict[str, int] = {}
    for code, count in counts.items():
        if (known := regions.canonical(code)) and regions.centre(province := _province(known, regions)):
            totals[province] = totals.get(province, 0) + count
    countries = {country for code in totals if (country := regions.country(code))}
    ranked = sorted(totals, key=lambda code: (-totals[code], code))[:MOST]
    places = tuple(_place(code, totals[code], regions, locale) for code in ranked)
    around = [
        code for country in sorted(countries) for code in _mainland(country, regions) if code not in totals
    ]
    beside = tuple(_place(code, 0, regions, locale) for code in around[:MOST])
    return Map(places, beside) if places else None


def map_words(content: Map, locale: str) -> str:
    say = words(locale)
    named = say["comma"].join(f"{place.name} {_count(place.count)}" for place in content.places[:TOLD])
    named += f" (+{rest})" if (rest := len(content.places) - TOLD) > 0 else ""
    return say["map_alt"].format(places=named)


def _mainland(country: str, regions: Regions) -> list[str]:
    """Its provinces, without those so far away that the map would be of the sea between."""
    east = {code: centre[1] for code in regions.children(country) if (centre := regions.centre(code))}
    middle = median(east.values() or (0.0,))  # a country may have none
    return [code for code, longitude in east.items() if abs(longitude - middle) <= REACH]


def _place(code: str, count: int, regions: Regions, locale: str) -> Place:
    latitude, longitude = regions.centre(code) or (0.0, 0.0)
    return Place(short_name(regions.name(code, locale)), latitude, longitude, count)


def _province(code: str, regions: Regions) -> str:
    """The region right below the country."""
    country = regions.country(code)
    while (parent := regions.parent(code)) and parent != country:
        code = parent
    return code
