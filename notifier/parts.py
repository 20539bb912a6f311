"""One message as several, where a chat takes only so much at once.

The first part has all that a reader acts on: fields, reason, buttons, picture. The others go on with the body. Each is
numbered, ends at a line where there is one, and never within a character or between the marks of bold text. Beyond
`MOST` parts the last one ends with "+N more" and the link, as a chat is no place to read a book.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from notifier.sending import Message

MOST: Final = 5
NUMBERED: Final = "({}/{}) {}"
JOINER: Final = "\u200d"
BOLD: Final = "**"
SEPARATORS: Final = ("、", "，", ", ", " ")
Fits: TypeAlias = Callable[[Message], bool]


def split(message: Message, fits: Fits, most: int = MOST) -> list[Message]:
    """In order; the message itself where it fits, or where not even its head would."""
    if fits(message):
        return [message]
    head = replace(message, title=NUMBERED.format(most, most, message.title), body="", fields=())
    shown = _most(len(message.fields), lambda n: fits(replace(head, fields=message.fields[:n])))
    if not fits(head):
        return [message]
    head = replace(head, fields=message.fields[:shown])
    rows = [f"{BOLD}{name}{BOLD}: {value}" for name, value in message.fields[shown:]]
    rows += message.body.splitlines()
    pages = _pages(rows, head, _further(head), fits, most)
    parts = [replace(_further(head) if at else head, body=body) for at, body in enumerate(pages)]
    return [
        replace(
            part,
            title=NUMBERED.format(at, len(parts), message.title),
            key=message.key if at == 1 else f"{message.key}.{at}",
        )
        for at, part in enumerate(parts, 1)
    ]


def _further(head: Message) -> Message:
    """What the second part and those after it say besides the body."""
    return replace(head, fields=(), buttons=(), image=None, image_url=None, mention=(), why="")


def _pages(rows: list[str], first: Message, further: Message, fits: Fits, most: int) -> list[str]:
    pages: list[str] = []
    base = first
    rows = [piece for row in rows for piece in _pieces(row, further, fits)]
    while rows and len(pages) < most - 1:
        kept = _most(len(rows), lambda n: fits(replace(base, body="\n".join(rows[:n]))))  # noqa: B023
        if not kept and base is further:
            break  # not even one: the channel cuts it
        pages.append("\n".join(rows[:kept]))
        base, rows = further, rows[kept:]
        while rows and not rows[0].strip():
            rows = rows[1:]
    return [*pages, "\n".join(rows)] if rows else pages


def _pieces(row: str, base: Message, fits: Fits) -> list[str]:
    """The row itself, or where it alone is too long, as few pieces as fit."""
    pieces: list[str] = []
    while (longest := _most(len(row), lambda n: fits(replace(base, body=row[:n])))) < len(row):  # noqa: B023
        piece, rest = _break(row, longest)
        if not piece:
            break
        pieces.append(piece)
        row = rest
    return [*pieces, row]


def _most(count: int, good: Callable[[int], bool]) -> int:
    """The largest number up to `count` that is good, where smaller ones are, too; 0 is not asked about. Asks about
    small ones first: what is good is short, however long the whole is.
    """
    low, step = 0, 16
    while low < count:
        high = min(count, low + step)
        if not good(high):
            break
        low, step = high, 2 * step
    else:
        return low
    high -= 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return low


def _break(row: str, longest: int) -> tuple[str, str]:
    """After a separator in the last third where there is one, and with bold closed here and opened there."""
    ends = (
        row.rfind(sign, longest * 2 // 3, longest) + len(sign) for sign in SEPARATORS if sign in row[:longest]
    )
    at = next((end for end in ends if end > longest * 2 // 3), longest)
    while at and at < len(row) and _inside(row, at):
        at -= 1
    piece, rest = row[:at], row[at:]
    if piece.count(BOLD) % 2 == 0:
        return piece, rest
    opened = piece.rfind(BOLD)
    if opened > 0:
        return piece[:opened], piece[opened:] + rest
    at = max(len(BOLD), at - len(BOLD))  # all of it is bold, and its closing marks need room, too
    return row[:at] + BOLD, BOLD + row[at:]


def _inside(row: str, at: int) -> bool:
    """Whether a reader sees one sign where this would be cut: accents, joined emoji, a half of `**`."""
    before, after = row[at - 1], row[at]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in {"Mn", "Me"}
        or JOINER in {before, after}
        or before == after == "*"
    )
