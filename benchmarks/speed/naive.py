"""What one would write first: a dictionary of parcels, river's quantile per lane and segment, event by event."""

from __future__ import annotations

import time

from river import stats

from benchmarks.speed.job import CARRIERS, LIMIT_HOURS, SEGMENT_OF, Counts, Measured, World, hours
from monitor.vocabulary import Status


def naive(world: World) -> Measured:
    numbers = world.numbers()
    status, at, lane = world.status.tolist(), world.at.tolist(), world.lane.tolist()
    segment = {int(one): int(SEGMENT_OF[one]) for one in SEGMENT_OF}
    limit = {int(one): hours_ * 3_600_000 for one, hours_ in LIMIT_HOURS.items()}
    delivered = int(Status.DELIVERED)
    parcels: dict[str, list[int]] = {}  # last scan, lane, segment, stalled
    learned: dict[tuple[int, int, int], stats.Quantile] = {}
    opened = closed = 0
    cpu, wall = time.process_time(), time.perf_counter()
    for start, end, now in hours(world):
        for row in range(start, end):
            number = numbers[row]
            known = parcels.get(number)
            if known is None:
                if status[row] != delivered:
                    parcels[number] = [at[row], lane[row], segment[status[row]], 0]
                continue
            gap = at[row] - known[0]
            if gap < 0:
                continue
            cell = (len(CARRIERS), known[1], known[2])
            quantile = learned.get(cell)
            if quantile is None:
                quantile = learned[cell] = stats.Quantile(0.99)
            quantile.update(gap)
            closed += known[3]
            if status[row] == delivered:
                del parcels[number]
            else:
                known[0], known[2], known[3] = at[row], segment[status[row]], 0
        for known in parcels.values():
            if not known[3] and now - known[0] >= limit[known[2]]:
                known[3] = 1
                opened += 1
    return Measured(
        len(world),
        time.perf_counter() - wall,
        time.process_time() - cpu,
        Counts(opened, closed, len(parcels)),
    )
