"""Which zones stand still (`detectors.standstill`), and what that changes for the parcels there.

As in a jam, a slow parcel is no chance in a stop: its stall opens after the short margin, and what it took teaches
nothing, nor does a wait that saw the stop begin or end. Nor does a parcel move whose road leads through the zone: where
the parcels of a lane are found between its ends is counted with the census.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import DAY, HOUR, offset_of
from detectors.findings import Instant
from detectors.plain import pack, unpack
from detectors.standstill import Standstill
from monitor.engine.kernels.places import arrivals_by_zone
from monitor.engine.kernels.state import STOPS
from monitor.engine.layout import FAR
from monitor.engine.places import MAX_ZONES
from monitor.engine.stage import ParcelStage

EVERY: Final = 30 * 60_000
WIDEST: Final = 2 * HOUR  # a wider window (the daemon was down) says nothing of any hour
KEPT: Final = 0.99  # of what was counted of relays, from census to census: half of it for 17 to 34 days
LEAST: Final = 0.5  # parcels that make a relay, if most go that way: one tells, as ways seldom change


class Stops:
    def __init__(self, stage: ParcelStage, timezone: str) -> None:
        self._stage = stage
        self._timezone = timezone
        self._standstill = Standstill(MAX_ZONES)
        self._ran_at: Instant = 0
        self._before = np.zeros(0)

    def pass_time(self, now: Instant) -> bool:
        """At ticks; whether a stop began."""
        if now // EVERY == self._ran_at // EVERY:
            return False
        arrived, by_zone = self._arrived()
        window, first = now - self._ran_at, self._ran_at == 0
        self._ran_at, self._before = now, arrived
        if first or window > WIDEST:
            return False
        local = now - window // 2 + offset_of(now, self._timezone)
        self._standstill.run(int(local % DAY // HOUR), by_zone, window / DAY)
        return self._mark(now)

    def _arrived(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """So far, by facility, and since the last time, by zone."""
        world = self._stage.world
        facilities = world.facilities[: len(self._stage.names.facilities) + 1]
        arrived = np.empty(len(facilities))
        by_zone = np.zeros(len(self._stage.places.zones) + 1)
        arrivals_by_zone(facilities, world.places, self._before, arrived, by_zone)
        return arrived, by_zone

    def _mark(self, now: Instant) -> bool:
        world, known = self._stage.world, len(self._stage.places.zones) + 1
        stopped, before = self._standstill.stopped[:known], world.stopped[:known] != 0
        before[0] = stopped[0]
        if np.array_equal(stopped, before):
            return False
        begun, ended = np.flatnonzero(stopped & ~before), np.flatnonzero(before & ~stopped)
        since = now - self._standstill.since_days[begun] * DAY
        world.stop_from[begun] = since // 1000
        world.stop_until[begun] = FAR
        world.stop_until[ended] = now // 1000
        world.stopped[:known] = stopped
        world.stopped[0] = stopped.any()
        world.counts[STOPS] |= len(begun) > 0
        return len(begun) > 0

    def hear_census(self) -> None:
        """After a whole census: through which zone the parcels of each lane go."""
        lanes = self._stage.lane_count + 1
        seen = self._stage.world.relays[:lanes]
        usual = seen.argmax(axis=1)
        there, all_of_them = seen[np.arange(lanes), usual], seen.sum(axis=1)
        self._stage.world.via[:lanes] = np.where((there >= LEAST) & (2 * there > all_of_them), usual, 0)
        seen *= KEPT

    def state(self) -> dict[str, Any]:
        world, lanes = self._stage.world, self._stage.lane_count + 1
        where = np.argwhere(world.relays[:lanes])
        return {
            "standstill": self._standstill.state(),
            "ran_at": self._ran_at,
            "before": pack(self._before),
            "from": pack(world.stop_from),
            "until": pack(world.stop_until),
            "via": pack(world.via[:lanes]),
            "relays": [pack(where), pack(world.relays[:lanes][where[:, 0], where[:, 1]])],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        world = self._stage.world
        self._standstill.restore(state["standstill"])
        self._ran_at, self._before = state["ran_at"], unpack(state["before"])
        world.stop_from[:], world.stop_until[:] = unpack(state["from"]), unpack(state["until"])
        world.stopped[:] = self._standstill.stopped
        world.stopped[0] = self._standstill.stopped.any()
        world.counts[STOPS] = world.stop_from.any()
        if "via" in state:
            via, (where, seen) = unpack(state["via"]), map(unpack, state["relays"])
            world.via[: len(via)] = via
            world.relays[where[:, 0], where[:, 1]] = seen
