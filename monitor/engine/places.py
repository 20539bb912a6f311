"""Regions as the kernels see them: the prefix that says what lies in what, and the zone that makes a lane's end."""

from __future__ import annotations

import numpy as np

from config.calendars import CalendarRule, which
from monitor.engine.layout import PLACE, Records
from monitor.names import Interner, Names

MAX_ZONES = 4096
MAX_COUNTRIES = 1000
_PREFIX = 8  # bytes of a region code that are compared
_OWN_CUSTOMS = {"71": "TW", "81": "HK", "82": "MO"}


def significant(code: str) -> str:
    """Of a code of GB/T 2260 the part before its zeros: 440300 is the city 4403; other codes are whole."""
    if len(code) != 6 or not code.isdigit():
        return code
    if code.endswith("0000"):
        return code[:2]
    return code[:4] if code.endswith("00") else code


def customs_area(code: str) -> str:
    """The country whose customs a region belongs to, as far as its code says it; empty where it does not. Hong Kong, Macao
    and Taiwan have customs of their own.
    """
    if len(code) == 6 and code.isdigit():
        return _OWN_CUSTOMS.get(code[:2], "CN")
    country = code.partition("-")[0]
    return country if len(country) == 2 and country.isascii() and country.isupper() else ""


def zone_of(code: str, level: int) -> str:
    """The end of a lane that a region belongs to, as a code of the region table: 440305 -> 440000 at level 2."""
    if len(code) != 6 or not code.isdigit():
        return code
    return code[:level].ljust(6, "0")


class Places:
    """Follows the interners: `follow()` before a batch makes every new region and carrier known to the kernels."""

    def __init__(self, names: Names, rules: tuple[CalendarRule, ...], level: int) -> None:
        self.facility_limit = names.facilities.limit
        self.source_limit = names.sources.limit
        self._names = names
        self._rules = rules
        self._level = level
        self.zones = Interner(MAX_ZONES - 1)
        self._countries = Interner(MAX_COUNTRIES)
        self.table: Records = np.zeros(names.regions.limit + 1, PLACE)
        # A page a carrier at most: rows of carriers that do not exist are never touched.
        self.calendar = np.zeros((names.carriers.limit + 1, MAX_ZONES), np.uint8)
        self.paced: dict[int, int] = {}  # carrier to its learned calendar, instead of the last rule's
        self._regions = 0
        self._carriers = -1
        self._zones = -1
        self.follow()

    def follow(self) -> None:
        regions, carriers = len(self._names.regions), len(self._names.carriers)
        for code in range(self._regions + 1, regions + 1):
            self._enter_region(code)
        self._regions = regions
        if carriers != self._carriers or len(self.zones) != self._zones:
            self._enter_calendars(carriers)

    def _enter_region(self, code: int) -> None:
        text = self._names.regions.text(code) or ""
        part = significant(text).encode()[:_PREFIX]
        place = self.table[code]
        place["mask"] = int.from_bytes(b"\xff" * len(part) + bytes(_PREFIX - len(part)))
        place["prefix"] = int.from_bytes(text.encode()[:_PREFIX].ljust(_PREFIX, b"\0"))
        place["zone"] = self.zones.code(zone_of(text, self._level))
        place["country"] = self._countries.code(customs_area(text) or None)

    def _enter_calendars(self, carriers: int) -> None:
        zones = self.zones.texts()
        for carrier in range(carriers + 1):
            first = self._zones + 1 if carrier <= self._carriers else 0
            for zone in range(max(first, 0), len(zones)):
                rule = which(self._rules, self._names.carriers.text(carrier), zones[zone])
                last = rule == len(self._rules) - 1
                self.calendar[carrier, zone] = self.paced.get(carrier, rule) if last else rule
        self._carriers = carriers
        self._zones = len(self.zones)

    def reload(self, zones: list[str]) -> None:
        """After `Names.load`: the zones of the checkpoint keep their codes, everything else is entered anew."""
        self.zones.load(zones)
        self.table[: self._regions + 1] = np.zeros((), PLACE)
        self._regions, self._carriers, self._zones = 0, -1, -1
        self.follow()
