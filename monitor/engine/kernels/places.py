"""What the place stage reads of the running totals, in one pass over them."""

from __future__ import annotations

from typing import Any

from monitor.engine.kernels.compiled import kernel


@kernel
def changes_of_facilities(now: Any, before: Any, busy: Any, codes: Any, columns: Any) -> int:
    """Of each facility that ever held or moved anything its code and, one row of `columns` each, what arrived, departed
    and was delivered since `before`, and what it holds and what stands still of that now. Returns how many they are.

    `now` and `before` are records of FACILITY by code, `before` maybe fewer. `busy`, by code, is brought up to date.
    """
    found = 0
    for code in range(1, len(now)):
        one = now[code]
        if not busy[code]:
            if one.arrived <= 0 and one.delivered <= 0 and one.stalled <= 0:
                continue
            busy[code] = True
        codes[found] = code
        columns[0, found] = one.arrived
        columns[1, found] = one.departed
        columns[2, found] = one.delivered
        columns[3, found] = one.stock
        columns[4, found] = one.stalled
        if code < len(before):
            columns[0, found] -= before[code].arrived
            columns[1, found] -= before[code].departed
            columns[2, found] -= before[code].delivered
        found += 1
    return found


@kernel
def arrivals_by_zone(facilities: Any, places: Any, before: Any, arrived: Any, by_zone: Any) -> None:
    """Of each facility what `arrived` so far, and by the zone that it is in what did since `before`, which may be of
    fewer. Those that are in no zone count for none.
    """
    for code in range(len(facilities)):
        now = facilities[code].arrived
        arrived[code] = now
        by_zone[places[facilities[code].region].zone] += now - (before[code] if code < len(before) else 0.0)
    by_zone[0] = 0.0


@kernel
def changes_of_regions(now: Any, before: Any, codes: Any, columns: Any) -> int:
    """Of each region and carrier that something is on its way to or moved since `before` its code and, one row of
    `columns` each, what was shipped and delivered since then and what is on its way. Returns how many they are.

    `now` and `before` are records of REGION by code, `before` maybe fewer.
    """
    found = 0
    for code in range(1, len(now)):
        one = now[code]
        shipped, delivered = one.shipped, one.delivered
        if code < len(before):
            shipped -= before[code].shipped
            delivered -= before[code].delivered
        codes[found] = code
        columns[0, found], columns[1, found], columns[2, found] = shipped, delivered, one.live
        found += shipped > 0 or delivered > 0 or one.live > 0
    return found
