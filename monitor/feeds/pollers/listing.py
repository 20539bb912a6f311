"""Any JSON list over HTTP, by configuration: a cursor that is kept, pages, and a mapping of fields.

The cursor is text that the provider gave, or the newest time read; it moves on only when what came before it is durable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from pydantic import Field, SecretStr

from config.regions import Regions
from monitor.feeds.base import Feed
from monitor.feeds.canonical import text_of
from monitor.feeds.generic import Generic, GenericOptions
from monitor.feeds.mapping import MappingOptions, at_path, records
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES, Answered, Limits, Trouble, trouble_of
from notifier.http import Http
from notifier.options import Options, SecretUrl
from notifier.sending import SendResult

NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def newest(values: Sequence[str]) -> str | None:
    """The largest: as numbers where all are some, as ids and Unix times are; else as texts, as RFC 3339 times are."""
    if all(NUMBER.fullmatch(one) for one in values):
        return max(values, key=Decimal, default=None)
    return max(values)


class CursorOptions(Options):
    parameter: str = Field(description="the query parameter that carries it")
    path: str | None = Field(None, description="where the answer has the next one")
    newest: str | None = Field(
        None, description="else: the path in a record whose largest value is the next one"
    )
    start: str = Field("", description="the first one; empty: the parameter is left out")
    more: str | None = Field(None, description="path of a truth that says whether there is more right now")


class ListingOptions(Options):
    url: SecretUrl
    headers: Mapping[str, SecretStr] = Field(default_factory=dict, description="such as Authorization")
    method: Literal["GET", "POST"] = "GET"
    query: Mapping[str, str] = Field(default_factory=dict)
    cursor: CursorOptions | None = None
    map: MappingOptions
    every_seconds: int = Field(300, ge=10)
    per_second: float = Field(1.0, gt=0)


class Listing:
    Options = ListingOptions

    def __init__(self, name: str, options: ListingOptions, places: Regions, http: Http) -> None:
        self.name = name
        # Read by the reader of generic webhooks; nothing is ever verified with this secret, and no URL leads to it.
        self.feed: Feed = Generic(name, GenericOptions(secret=SecretStr("unused"), map=options.map), places)
        self.limits = Limits(options.per_second)
        self.every_ms = options.every_seconds * 1000
        self._options = options
        self._http = http

    async def read(self, cursor: str, now: int) -> Answered:
        options = self._options
        query = dict(options.query)
        at = cursor or (options.cursor.start if options.cursor else "")
        if options.cursor and at:
            query[options.cursor.parameter] = at
        url = options.url.get_secret_value()
        if query and options.method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(query)
        reply = await self._http.request(
            options.method,
            url,
            headers={name: value.get_secret_value() for name, value in options.headers.items()},
            body=msgspec.json.encode(query) if options.method == "POST" else None,
            max_reply_bytes=MOST_ANSWER_BYTES,
        )
        if isinstance(reply, SendResult) or not reply.ok or reply.cut:
            return trouble_of(reply, now)
        value = reply.json()
        if not isinstance(value, dict | list):
            return Answered(trouble=Trouble.REFUSED)
        if not any(True for _ in records(value, options.map)):
            return Answered(cursor=at)
        following, more = self._next(value, at)
        return Answered(pushes=[self.feed.sign(reply.body, now)], cursor=following, more=more)

    def _next(self, value: Any, at: str) -> tuple[str, bool]:
        cursor = self._options.cursor
        if cursor is None:
            return "", False
        if cursor.path:
            following = text_of(at_path(value, cursor.path), 2000)
        else:
            found = [text_of(at_path(one, cursor.newest or "")) for one in records(value, self._options.map)]
            following = newest([one for one in found if one])
        more = bool(at_path(value, cursor.more)) if cursor.more else bool(cursor.path and following)
        return following or at, more and following not in {None, at}
