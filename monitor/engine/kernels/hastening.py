"""What waits already where a jam or a stop begins: due at once, where it outlasted the short limit."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels.compiled import inlined, kernel, natural
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.sweep import BLOCK
from monitor.engine.kernels.table import wake
from monitor.engine.kernels.waiting import early, in_jam, in_stop
from monitor.engine.layout import FAR


@inlined
def _outlasted(due: Any) -> Any:
    """1 for a due time that was said by `outlasting`, else 0. Unsigned and without a branch, as in `lowest`."""
    return due & np.uint32(due != np.uint32(FAR))


@kernel
def hasten(table: Table, world: World, buckets: Any, now: int) -> None:
    """A jam or a stop began: what waits there for longer than the `quick` limit is due at once."""
    for number in range(len(buckets)):
        bucket = buckets[number]
        base = bucket * table.room
        for start in range(base, base + table.size[bucket], BLOCK):
            stop = min(start + BLOCK, base + table.size[bucket])
            found = np.uint32(0)
            for place in range(start, stop):
                found |= _outlasted(table.due[natural(place)])
            if found != 0:
                _hasten_block(table, world, bucket, start, stop, now)


@kernel
def _hasten_block(table: Table, world: World, bucket: int, start: int, stop: int, now: int) -> None:
    for place in range(start, stop):
        if _outlasted(table.due[place]) != 0:
            slot = table.slots[place]
            if in_jam(world, slot) or in_stop(world, slot):
                wake(table, bucket, place, early(now))
