"""How many SMS a text costs: 160 characters of GSM 7-bit or 70 of UCS-2, 153 and 67 where it is split (3GPP 23.038)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # two septets each


@dataclass(frozen=True, slots=True)
class Segments:
    encoding: str  # gsm-7 | ucs-2
    units: int  # septets, or UTF-16 code units
    count: int


def segments(text: str) -> Segments:
    if all(mark in GSM or mark in EXTENDED for mark in text):
        units = [2 if mark in EXTENDED else 1 for mark in text]
        return Segments("gsm-7", sum(units), _count(units, 160, 153))
    units = [len(mark.encode("utf-16-be")) // 2 for mark in text]
    return Segments("ucs-2", sum(units), _count(units, 70, 67))


def _count(units: list[int], single: int, part: int) -> int:
    """A character of two units is never cut in two, so a part may end one short."""
    if sum(units) <= single:
        return 1 if units else 0
    count, room = 1, part
    for size in units:
        if size > room:
            count, room = count + 1, part
        room -= size
    return count
