"""Pushes that come as a form whose one field holds the JSON."""

from __future__ import annotations

import re

FORM = {"content-type": "application/x-www-form-urlencoded"}
_MOST_FIELDS = 50
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


class Forms:
    """Decodes a body once, although both the signature and the parser need it; values stay bytes, as signed."""

    def __init__(self) -> None:
        self._body = b""
        self._fields: dict[str, bytes] = {}

    def read(self, body: bytes) -> dict[str, bytes]:
        if body is not self._body:
            self._fields = _fields(body)
            self._body = body
        return self._fields


def _fields(body: bytes) -> dict[str, bytes]:
    """Of a name that comes twice, the last: the one that also signs, so none can hide behind another."""
    pairs = (part.partition(b"=") for part in body.split(b"&", _MOST_FIELDS)[:_MOST_FIELDS])
    return {_plain(name).decode("utf-8", "replace"): _plain(value) for name, _, value in pairs}


def _plain(quoted: bytes) -> bytes:
    """Runs of escapes are decoded at once: a form of Chinese JSON is little else."""
    return _ESCAPES.sub(_decoded, quoted.replace(b"+", b" "))


def _decoded(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[0].replace(b"%", b"").decode("ascii"))
