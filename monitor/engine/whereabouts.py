"""Where a slot's parcel is, in names: what every finding about it says."""

from __future__ import annotations

from typing import Any, Final

from monitor.engine.layout import HISTORY, Records, SlotRow
from monitor.engine.places import Places
from monitor.names import Names
from monitor.vocabulary import Segment

_SEGMENT_NAMES: Final = [segment.name.lower() for segment in Segment]


class Whereabouts:
    """Knows names, and neither parcels nor findings: evidence that is still to be written refers to it, and a finding
    is not seen by the garbage collector, so what leads back to a finding from here would never be given up.
    """

    def __init__(self, names: Names, places: Places, lanes: Records) -> None:
        """`lanes`: the array of LANE, which is loaded in place."""
        self._names = names
        self._zones = places.zones
        self._ways = lanes
        self._lanes: dict[int, str | None] = {}

    def of(self, slot: SlotRow) -> dict[str, Any]:
        """A new dictionary; what is not known is left out."""
        names = self._names
        known: dict[str, Any] = {
            "carrier": names.carriers.text(slot.carrier),
            "lane": self._lane(slot.lane),
            "facility": names.facilities.text(slot.facility),
            "region": names.regions.text(slot.region),
            "destination": names.regions.text(slot.destination),
            "feed": names.sources.text(slot.source),
        }
        found = {name: value for name, value in known.items() if value is not None}
        found["segment"] = _SEGMENT_NAMES[slot.segment]
        found["since"] = slot.last_scan * 1000
        if slot.state & HISTORY:
            found["history"] = True
        return found

    def _lane(self, code: int) -> str | None:
        if code not in self._lanes:
            way = self._ways[code]
            origin, destination = (
                self._zones.text(int(way["origin"])),
                self._zones.text(int(way["destination"])),
            )
            known = origin is not None or destination is not None
            self._lanes[code] = f"{origin or '?'}>{destination or '?'}" if known else None
        return self._lanes[code]

    def forget(self) -> None:
        """After the lanes were loaded anew."""
        self._lanes.clear()
