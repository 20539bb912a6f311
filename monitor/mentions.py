"""Whether a payload speaks of a customer, whatever its format: by their number, contact and orders, as whole words.

Short numbers are words of every payload: they count only as the value of a field that holds such a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

import msgspec

LONG: Final = 8  # characters: no other number of a payload is the same by chance
_CUSTOMER: Final = rb"(?:customer|user|buyer|requester|member|client|openid)"
_ORDER: Final = rb"(?:order|reference|external_id)"


def mentions(customer_id: str, contacts: Iterable[str], orders: Iterable[str]) -> Callable[[bytes], bool]:
    """`orders`: their numbers and those of their parcels."""
    own = {customer_id, *contacts}
    words = [_spellings(one) for one in sorted(own | set(orders)) if len(one) >= LONG]
    fields = [(_CUSTOMER, _spellings(one)) for one in sorted(own) if 0 < len(one) < LONG]
    fields += [(_ORDER, _spellings(one)) for one in sorted(set(orders)) if 0 < len(one) < LONG]
    patterns = [rb"(?<!\w)" + one + rb"(?!\w)" for one in words]
    patterns += [_field(name, one) for name, one in fields]
    found = re.compile(b"|".join(patterns) or rb"(?!)", re.IGNORECASE)
    return lambda payload: found.search(payload) is not None


def _spellings(name: str) -> bytes:
    """As it stands in text, in JSON that spells all but ASCII, and in a form."""
    escaped = json.dumps(name)[1:-1]
    plain = msgspec.json.encode(name)[1:-1]
    known = dict.fromkeys((name.encode(), plain, escaped.encode(), quote(name, safe="").encode()))
    return b"(?:" + b"|".join(map(re.escape, known)) + b")"


def _field(name: bytes, value: bytes) -> bytes:
    """`"customer_id": 42`, also as JSON within JSON; `{"customer": {"id": 42`; `customer_id=42`."""
    mark = rb'[\\"]*'
    return rb"%s\w*%s\s*[:=]\s*(?:\{\s*%sid%s\s*:\s*)?%s%s(?![\w-])" % (name, mark, mark, mark, mark, value)
