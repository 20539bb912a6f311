"""Pushes that come as a form whose one field holds the JSON."""

from __future__ import annotations

from urllib.parse import parse_qsl

FORM = {"content-type": "application/x-www-form-urlencoded"}
_MOST_FIELDS = 50


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
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name.decode("utf-8", "replace"): value for name, value in pairs}
