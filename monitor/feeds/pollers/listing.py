"""Any JSON list over HTTP, by configuration: a cursor that is kept, pages, and what reads its records: a mapping, or a feed
that knows them from its webhooks.

The cursor moves on only when what came before it is durable. An answer without the list is a failure, not an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import urlencode

import msgspec
from pydantic import Field, SecretStr, model_validator

from config.regions import Regions
from monitor.feeds.base import Feed, Push
from monitor.feeds.generic import Generic, GenericOptions
from monitor.feeds.mapping import MappingOptions, at_path
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES, Answered, Limits, Trouble, trouble_of
from monitor.feeds.pollers.paging import CursorOptions, Step, Walk, by_newest, by_page, by_path
from notifier.http import Http, Reply
from notifier.options import Options, SecretUrl
from notifier.sending import SendResult


class ListingOptions(Options):
    url: SecretUrl
    headers: Mapping[str, SecretStr] = Field(default_factory=dict, description="such as Authorization")
    method: Literal["GET", "POST"] = "GET"
    query: Mapping[str, str] = Field(default_factory=dict)
    cursor: CursorOptions | None = None
    map: MappingOptions | None = None
    feed: str | None = Field(None, description="instead of a map: a feed whose webhooks bring such records")
    records: str = Field("", description="with a feed: path to the list; empty: the body itself")
    may_be_absent: bool = Field(
        default=False, description="an answer without the list is an empty one, not a failure"
    )
    every_seconds: int = Field(300, ge=10)
    per_second: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _read_by_one(self) -> Self:
        if (self.map is None) == (self.feed is None):
            raise ValueError("needs `map` or `feed`, one of the two")
        if self.map is not None and self.records:
            raise ValueError("`records` belongs to `feed`; a map has its own")
        return self


class Listing:
    Options = ListingOptions

    def __init__(
        self, name: str, options: ListingOptions, places: Regions, http: Http, feeds: Mapping[str, Feed]
    ) -> None:
        self.name = name
        self.feed: Feed = _reader(name, options, places, feeds)
        self.limits = Limits(options.per_second)
        self.every_ms = options.every_seconds * 1000
        self._options = options
        self._http = http
        self._path = options.map.records if options.map else options.records

    async def read(self, cursor: str, now: int) -> Answered:
        walk = self._walk(cursor)
        reply = await self._request(walk)
        if isinstance(reply, SendResult) or not reply.ok or reply.cut:
            return trouble_of(reply, now)
        value = reply.json()
        rows = self._rows(value)
        if rows is None:
            return Answered(trouble=Trouble.SHAPE)
        cursor, more, trouble = self._step(value, rows, walk)
        pushes = self._pushes(rows, reply.body, now) if rows else ()
        return Answered(pushes=pushes, cursor=cursor, more=more, trouble=trouble)

    def _walk(self, cursor: str) -> Walk:
        options = self._options.cursor
        if options is None:
            return Walk("")
        if options.path is not None:  # the provider's own, whatever it looks like
            return Walk(cursor or options.start)
        walk = Walk.of(cursor or options.start)
        return walk if options.page else Walk(walk.at)

    async def _request(self, walk: Walk) -> Reply | SendResult:
        options = self._options
        query = dict(options.query)
        if options.cursor and walk.at:
            query[options.cursor.parameter] = options.cursor.asked_from(walk.at)
        if options.cursor and options.cursor.page:
            query[options.cursor.page] = str(walk.page)
        url = options.url.get_secret_value()
        if query and options.method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(query)
        return await self._http.request(
            options.method,
            url,
            headers={name: value.get_secret_value() for name, value in options.headers.items()},
            body=msgspec.json.encode(query) if options.method == "POST" else None,
            max_reply_bytes=MOST_ANSWER_BYTES,
        )

    def _rows(self, value: Any) -> list[Any] | None:
        """The records; None where the answer has no place for them: an error in a 200, or a wrong path."""
        head, _, last = self._path.rpartition(".")
        found = at_path(value, self._path)
        if isinstance(found, list):
            return found
        if isinstance(found, Mapping) and self._options.map is not None:
            return [found]
        holder = at_path(value, head)
        nothing = isinstance(holder, Mapping) and bool(self._path) and holder.get(last, 0) is None
        absent = found is None and isinstance(value, Mapping) and self._options.may_be_absent
        return [] if nothing or absent else None

    def _step(self, value: Any, rows: Sequence[Any], walk: Walk) -> Step:
        cursor = self._options.cursor
        if cursor is None:
            return Step("")
        if cursor.path is not None:
            return by_path(cursor, value, rows, walk.at)
        if cursor.page:
            return by_page(cursor, value, rows, walk)
        return by_newest(cursor, value, rows, walk.at)

    def _pushes(self, rows: Sequence[Any], body: bytes, now: int) -> list[Push]:
        if self._options.map is not None:
            return [self.feed.sign(body, now)]
        return [self.feed.sign(msgspec.json.encode(one), now) for one in rows]


def _reader(name: str, options: ListingOptions, places: Regions, feeds: Mapping[str, Feed]) -> Feed:
    """A map is read by the reader of generic webhooks; nothing is ever verified with this secret, and no URL leads to it."""
    if options.map is None:
        return feeds[options.feed or ""]
    return Generic(name, GenericOptions(secret=SecretStr("unused"), map=options.map), places)
