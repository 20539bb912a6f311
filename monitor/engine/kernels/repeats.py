"""Ids of events that a bucket has seen, to know repeats by: two generations, of which the older is forgotten whole.

A line is one cache line: four places of each generation. An id lies in the first line from its own on that had room for
its generation, so most looks read one line, and compare all eight places at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels.compiled import inlined, kernel, natural, whole
from monitor.engine.kernels.state import Table

PLACES = 4  # of a generation, in a line


@inlined
def seen_line(event: Any, mask: int) -> int:
    """Where the search for an id begins."""
    return whole((event * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask


@inlined
def repeated(table: Table, bucket: int, event: Any, limit: int) -> bool:
    """Whether this id was seen in this bucket; remembers it. 0 is no id. Two generations of `limit` ids each."""
    if event == 0:
        return False
    seen = table.seen
    line = seen_line(event, natural(seen.shape[1] - 1))
    young = whole(table.seen_young[bucket])
    if _holds(seen, bucket, line, 0, event) | _holds(seen, bucket, line, 1, event):
        return True
    place = _taken(seen, bucket, line, young)
    if (place == PLACES) | (seen[bucket, line, 1 - young, PLACES - 1] != 0):
        if _further(seen, bucket, line, 1 - young, event) < 0:
            return True
        line = _further(seen, bucket, line, young, event)
        if line < 0:
            return True
        line = natural(line)
        place = _taken(seen, bucket, line, young)
    if table.seen_count[bucket, young] >= limit:
        return _begin_anew(table, bucket, event)
    seen[bucket, line, young, natural(place)] = event
    table.seen_count[bucket, young] += 1
    return False


@inlined
def _holds(seen: Any, bucket: int, line: int, generation: int, event: Any) -> Any:
    """Without a branch: which place it is in nobody can guess."""
    return (
        (seen[bucket, line, generation, 0] == event)
        | (seen[bucket, line, generation, 1] == event)
        | (seen[bucket, line, generation, 2] == event)
        | (seen[bucket, line, generation, 3] == event)
    )


@inlined
def _taken(seen: Any, bucket: int, line: int, generation: int) -> int:
    """Places of a line that are in use: they fill in order."""
    return (
        whole(seen[bucket, line, generation, 0] != 0)
        + whole(seen[bucket, line, generation, 1] != 0)
        + whole(seen[bucket, line, generation, 2] != 0)
        + whole(seen[bucket, line, generation, 3] != 0)
    )


@kernel
def _further(seen: Any, bucket: int, line: int, generation: int, event: Any) -> int:
    """The first line from `line` on with room for a generation; -1 where the id was met on the way."""
    mask = seen.shape[1] - 1
    while True:
        for place in range(PLACES):
            if seen[bucket, line, generation, place] == event:
                return -1
            if seen[bucket, line, generation, place] == 0:
                return line
        line = (line + 1) & mask


@kernel
def _begin_anew(table: Table, bucket: int, event: Any) -> bool:
    """The young generation is full: it becomes the older one, and this id the first of the next. Never a repeat."""
    seen = table.seen
    young = 1 - whole(table.seen_young[bucket])
    table.seen_young[bucket] = young
    seen[bucket, :, young] = 0
    seen[bucket, seen_line(event, seen.shape[1] - 1), young, 0] = event
    table.seen_count[bucket, young] = 1
    return False


@kernel
def remember(seen: Any, bucket: int, generation: int, events: Any) -> None:
    """Enters ids of events, each once, into an empty generation."""
    mask = seen.shape[1] - 1
    for number in range(len(events)):
        event = events[number]
        line = _further(seen, bucket, seen_line(event, mask), generation, event)
        if line >= 0:
            seen[bucket, line, generation, _taken(seen, bucket, line, generation)] = event
