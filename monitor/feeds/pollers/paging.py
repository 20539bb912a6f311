"""Where in a list we are: which value it is asked from, and whether an answer leaves more behind it.

Without pages the list must be oldest first: the newest value read is where it goes on. With pages (`cursor.page`) all of
them are read from one value on, in any order, before the newest of them takes its place; newest first is best, as what
changes meanwhile then moves to a page that is read next time. How far such a walk has come is part of the cursor.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import msgspec
from pydantic import Field, model_validator

from monitor.feeds.canonical import text_of
from monitor.feeds.mapping import at_path
from monitor.feeds.pollers.base import Trouble
from notifier.options import Options

NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
WALKING: Final = '{"at":'


class CursorOptions(Options):
    parameter: str = Field(description="the query parameter that carries it")
    path: str | None = Field(None, description="where the answer has the next one")
    newest: str | None = Field(
        None, description="else: the path in a record whose largest value is the next one"
    )
    start: str = Field("", description="the first one; empty: the parameter is left out")
    more: str | None = Field(None, description="path of a truth that says whether there is more right now")
    full: int | None = Field(None, ge=1, description="else: an answer of so many records has more behind it")
    page: str | None = Field(None, description="the query parameter of the page's number, from 1")
    overlap_seconds: int = Field(
        0,
        ge=0,
        le=86_400,
        description="with pages, and times as values: asked from so long before the newest, for what was saved late",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.path is None) == (self.newest is None):
            raise ValueError("needs `path` or `newest`, one of the two")
        if self.path is not None and (self.page or self.full):
            raise ValueError("`page` and `full` belong to `newest`")
        if self.overlap_seconds and not self.page:
            raise ValueError(
                "`overlap_seconds` needs `page`: what is read twice would stand for all that is new"
            )
        return self

    def asked_from(self, at: str) -> str:
        """What the parameter says; `at` itself where it is no time."""
        if not self.overlap_seconds:
            return at
        try:
            earlier = datetime.fromisoformat(at) - timedelta(seconds=self.overlap_seconds)
        except (ValueError, OverflowError):
            return at
        text = earlier.isoformat()
        return text.replace("+00:00", "Z") if at.endswith("Z") else text


class Walk(msgspec.Struct, frozen=True):
    """`newest`: of the pages that were read so far; `last`: a digest of the one before."""

    at: str
    page: int = 1
    newest: str = ""
    last: str = ""

    @classmethod
    def of(cls, cursor: str) -> Walk:
        if cursor.startswith(WALKING):
            try:
                return msgspec.json.decode(cursor, type=cls)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        return cls(cursor)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Step(NamedTuple):
    """Where to go on after an answer, and what is wrong with it, if anything is."""

    cursor: str
    more: bool = False
    trouble: Trouble | None = None


def by_path(options: CursorOptions, body: Any, rows: Sequence[Any], at: str) -> Step:
    following = text_of(at_path(body, options.path or ""), 2000)
    moved = following is not None and following != at
    if options.more is None:  # an empty page with a cursor of its own is not the end, and no hurry either
        return Step(following or at, moved and bool(rows))
    more = bool(at_path(body, options.more))
    return Step(following or at, more and moved, Trouble.STUCK if more and not moved else None)


def by_newest(options: CursorOptions, body: Any, rows: Sequence[Any], at: str) -> Step:
    found = [text_of(at_path(one, options.newest or "")) for one in rows]
    values = [one for one in found if one]
    more = _more(options, body, rows)
    if not values:
        return Step(at, trouble=Trouble.SHAPE if rows else Trouble.STUCK if more else None)
    if more is not False and not _ascending(values):
        return Step(at, trouble=Trouble.UNORDERED)
    following = newest([at, *values]) if at else newest(values)
    if more and following == at:
        return Step(at, trouble=Trouble.STUCK)
    return Step(following or at, bool(more))


def by_page(options: CursorOptions, body: Any, rows: Sequence[Any], walk: Walk) -> Step:
    found = [text_of(at_path(one, options.newest or "")) for one in rows]
    values = [one for one in (*found, walk.newest) if one]
    if rows and not any(found):
        return Step(walk.at, trouble=Trouble.SHAPE)
    this = hashlib.blake2b(msgspec.json.encode(rows), digest_size=8).hexdigest()
    if rows and this == walk.last:  # the same page again: what carries the number is not what the list reads
        return Step(walk.at, trouble=Trouble.STUCK)
    more = _more(options, body, rows)
    if more if more is not None else rows:
        return Step(Walk(walk.at, walk.page + 1, newest(values) or "", this).text(), more=True)
    return Step(newest([one for one in (walk.at, *values) if one]) or "")


def _more(options: CursorOptions, body: Any, rows: Sequence[Any]) -> bool | None:
    """None: nothing says."""
    if options.more is not None:
        return bool(at_path(body, options.more))
    return len(rows) >= options.full if options.full is not None else None


def newest(values: Sequence[str]) -> str | None:
    """The largest: as numbers where all are some, as ids and Unix times are; else as texts, as RFC 3339 times are."""
    if all(NUMBER.fullmatch(one) for one in values):
        return max(values, key=Decimal, default=None)
    return max(values)


def _ascending(values: Sequence[str]) -> bool:
    numbers = all(NUMBER.fullmatch(one) for one in values)
    return all(
        Decimal(one) <= Decimal(next_one) if numbers else one <= next_one
        for one, next_one in itertools.pairwise(values)
    )
