"""Time zones of local times: of the place where the country or state has one, else what the feed is configured with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import get_global

CHINA = timezone(timedelta(hours=8))  # no summer time since 1991, one zone by law

# States that lie in one zone, or nearly all of whose people do: tz database, `northamerica` and `australasia`.
_STATES: Mapping[str, str] = {
    "America/New_York": "US-CT US-DC US-DE US-FL US-GA US-MA US-MD US-ME US-NC US-NH US-NJ US-NY US-OH US-PA US-RI US-SC "
    "US-VA US-VT US-WV US-MI",
    "America/Chicago": "US-AL US-AR US-IA US-IL US-KS US-LA US-MN US-MO US-MS US-ND US-NE US-OK US-SD US-TX US-WI US-TN",
    "America/Indiana/Indianapolis": "US-IN",
    "America/Kentucky/Louisville": "US-KY",
    "America/Denver": "US-CO US-MT US-NM US-UT US-WY US-ID",
    "America/Phoenix": "US-AZ",
    "America/Los_Angeles": "US-CA US-NV US-OR US-WA",
    "America/Anchorage": "US-AK",
    "Pacific/Honolulu": "US-HI",
    "America/Puerto_Rico": "US-PR",
    "America/Toronto": "CA-ON CA-QC",
    "America/Halifax": "CA-NS CA-NB CA-PE",
    "America/St_Johns": "CA-NL",
    "America/Winnipeg": "CA-MB",
    "America/Regina": "CA-SK",
    "America/Edmonton": "CA-AB",
    "America/Vancouver": "CA-BC",
    "Australia/Sydney": "AU-NSW AU-ACT",
    "Australia/Melbourne": "AU-VIC",
    "Australia/Brisbane": "AU-QLD",
    "Australia/Adelaide": "AU-SA",
    "Australia/Perth": "AU-WA",
    "Australia/Hobart": "AU-TAS",
    "Australia/Darwin": "AU-NT",
}


@cache
def _zones() -> dict[str, str]:
    """Region or country to zone: of countries only those with one zone."""
    zones = {region: zone for zone, regions in _STATES.items() for region in regions.split()}
    territories: Mapping[str, str] = get_global("zone_territories")
    of_country: dict[str, list[str]] = defaultdict(list)
    for zone, territory in territories.items():
        of_country[territory].append(zone)
    one = {country: names[0] for country, names in of_country.items() if len(names) == 1}
    main = {"DE": "Europe/Berlin", "GB": "Europe/London", "MY": "Asia/Kuala_Lumpur"}
    return {**one, **main, **zones}


def zone_of(region: str | None, otherwise: tzinfo) -> tzinfo:
    if not region:
        return otherwise
    if region == "CN" or region[0].isdigit():
        return CHINA
    zone = _zones().get(region) or _zones().get(region[:2])
    return ZoneInfo(zone) if zone else otherwise


def instant(text: str, zone: tzinfo) -> str | None:
    """ISO 8601 as providers write it to RFC 3339 in UTC; without an offset it is local to `zone`. None: no time."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return utc.isoformat().replace("+00:00", "Z")


def from_millis(moment: int) -> str:
    return (
        datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def local_text(moment: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(moment / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def end_of_day(text: Any, zone: tzinfo) -> str | None:
    """An expected day or moment as the moment until which it holds: a bare date lasts until its last second."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    return instant(f"{text}T23:59:59" if len(text) == len("2026-01-01") else text, zone)
