"""Time zones by their names in the IANA database."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(unknown("time zone", value, available_timezones())) from None
    return value


def unknown(what: str, value: str, names: Iterable[str]) -> str:
    """With the nearest of the names."""
    near = difflib.get_close_matches(value, list(names), n=1)
    return f"no {what} {value!r}" + (f"; did you mean {near[0]!r}?" if near else "")


ZoneName = Annotated[str, AfterValidator(_zone)]
