"""A dead letter: what it is, and how it stands in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from monitor.decode import DeadEvent
from monitor.letter_room import OVERHEAD
from monitor.vocabulary import DeadReason
from notifier.store import Entry

MOST_RAW_BYTES: Final = 65_536
TOGETHER_BYTES: Final = 256 << 10  # of letters in one write


class Format(StrEnum):
    """What a letter's payload is: who can read it again."""

    EVENT = "event"  # one canonical event
    PUSH = "push"  # a provider's request
    PAGE = "page"  # of a list that was asked for
    RECORD = "record"  # of a file or a topic with a mapping


@dataclass(frozen=True, slots=True)
class Letter:
    """`feed`: who sent it. `cut`: `raw` is only the beginning, of `whole` bytes."""

    reason: DeadReason
    detail: str
    raw: bytes
    feed: str = ""
    at: int = 0
    cut: bool = False
    id: str = ""
    format: Format = Format.EVENT
    whole: int = 0

    @property
    def size(self) -> int:
        return OVERHEAD + len(self.raw)


def letters_of(dead: Sequence[DeadEvent], now: int, feed: str) -> list[Letter]:
    return [Letter(one.reason, one.detail, one.raw, feed, now) for one in dead]


def bounded(letter: Letter) -> Letter:
    if len(letter.raw) <= MOST_RAW_BYTES:
        return letter
    return replace(letter, raw=letter.raw[:MOST_RAW_BYTES], cut=True, whole=len(letter.raw))


def together(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """In pieces of bounded size."""
    group: list[Letter] = []
    size = 0
    for letter in letters:
        if group and size + letter.size > TOGETHER_BYTES:
            yield group
            group, size = [], 0
        group.append(letter)
        size += letter.size
    if group:
        yield group


def fields_of(letter: Letter) -> dict[str, bytes | str | int]:
    return {
        "reason": letter.reason,
        "detail": letter.detail,
        "feed": letter.feed,
        "format": letter.format,
        "at": letter.at,
        "cut": int(letter.cut),
        "raw": letter.raw,
        "whole": letter.whole or len(letter.raw),
    }


def letter_from(entry: Entry) -> Letter:
    found = entry.mapping()
    raw, feed = found["raw"], found["feed"].decode()
    return Letter(
        reason=DeadReason(found["reason"].decode()),
        detail=found["detail"].decode(),
        raw=raw,
        feed=feed,
        at=int(found["at"]),
        cut=found["cut"] == b"1",
        id=entry.id,
        whole=int(found.get("whole", len(raw))),
        format=Format(found["format"].decode()) if "format" in found else _format_of(raw, feed),
    )


def _format_of(raw: bytes, feed: str) -> Format:
    """Of letters from before they said it."""
    return Format.PUSH if feed and raw.startswith(b'{"headers":') else Format.EVENT
