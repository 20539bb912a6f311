"""The elements of a JSON array that a decoder refuses, by its brackets, commas and quotes alone."""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|["\[\]{},]', re.DOTALL)
_DEEPER: Final = frozenset(b"[{")
_HIGHER: Final = frozenset(b"]}")


def elements(body: bytes) -> list[bytes]:
    """What stands between the commas of the outermost array, valid or not; nothing after a comma at its end.

    Raises ValueError where the array does not end, or is not all.
    """
    found: list[bytes] = []
    depth, begun = 0, body.index(b"[") + 1
    for mark in _MARK.finditer(body):
        at, sign = mark.start(), body[mark.start()]
        if mark.group() == b'"':
            break  # a text that does not end, so nothing after it can be told apart
        if sign in _DEEPER:
            depth += 1
        elif sign in _HIGHER:
            depth -= 1
        ends = depth == 0
        if ends or (depth == 1 and sign == ord(",")):
            found.append(body[begun:at].strip())
            begun = at + 1
        if ends:
            break
    if depth or body[begun - 1 : begun] != b"]" or body[begun:].strip():
        raise ValueError("the array does not end, or something follows it")
    if not found[-1]:
        del found[-1]
    return found
