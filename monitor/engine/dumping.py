"""The engine's state as bytes: whole, or one bucket. Versioned, checksummed, refused when anything is off.

A dump holds the stream position that its caller names; loading answers with it. It is made in two parts: copies, in
steps of some milliseconds during which nothing may change, and then encoding, compression and checksum of the copies,
which a thread can do while the engine goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np
import zstandard

from monitor.engine.kernels import state as fields
from monitor.engine.kernels.totals import region_pair
from monitor.engine.kernels.waiting import lane_of
from monitor.engine.layout import (
    BACKGROUND,
    BUCKETS,
    ENDING,
    FACILITY,
    FEED,
    LANE,
    LIFE,
    LIVE,
    ODDITY,
    PASSED,
    REGION,
    SEGMENTS,
    SLOT,
    Records,
)
from monitor.engine.stage import ParcelStage

if TYPE_CHECKING:
    from monitor.engine.engine import Engine

T = TypeVar("T")
MAGIC: Final = b"FORESTALL-ENGINE\n"
VERSION: Final = 2
_SUM: Final = 16
SIDES: Final = 4096  # hashed keys a step
_ARRAY_16: Final = 0xDC
_LEVEL: Final = 1  # zstd: three times smaller at half a gigabyte a second
# What a slot looks like: a dump of another shape is refused by name, not misread.
SHAPE: Final = hashlib.blake2b(repr((SLOT.descr, BACKGROUND.descr)).encode(), digest_size=8).hexdigest()
# Likewise of the other records in it; dumps of before 2026-11-26 do not say it, and had this one.
ROWS: Final = hashlib.blake2b(
    repr(
        [SEGMENTS, *(kind.descr for kind in (LANE, PASSED, FACILITY, FEED, REGION, ENDING, ODDITY))]
    ).encode(),
    digest_size=8,
).hexdigest()
_TOTALS: Final = {"lanes": LANE, "passed": PASSED, "facilities": FACILITY, "feeds": FEED, "regions": REGION}


class DumpError(Exception):
    """Bytes that are no dump of this version; the message says why."""


def seal(content: Mapping[str, Any]) -> bytes:
    body = msgspec.msgpack.encode({"version": VERSION, "shape": SHAPE, "rows": ROWS, **content})
    return b"".join((MAGIC, hashlib.blake2b(body, digest_size=_SUM).digest(), body))


def _packed(value: Any) -> bytes:
    return zstandard.ZstdCompressor(_LEVEL).compress(msgspec.msgpack.encode(value))


def _unpacked(data: bytes) -> Any:
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data))


def unseal(data: bytes) -> dict[str, Any]:
    if not data.startswith(MAGIC):
        raise DumpError("these bytes are no dump of an engine")
    start = len(MAGIC) + _SUM
    body = memoryview(data)[start:]
    if hashlib.blake2b(body, digest_size=_SUM).digest() != data[len(MAGIC) : start]:
        raise DumpError("the checksum does not fit: the dump is torn or was changed")
    try:
        content: dict[str, Any] = msgspec.msgpack.decode(body)
    except msgspec.DecodeError:
        raise DumpError(f"a dump that this program, which reads version {VERSION}, cannot read") from None
    if content["version"] != VERSION:
        raise DumpError(f"a dump of version {content['version']}; this program reads {VERSION}")
    if content["shape"] != SHAPE:
        raise DumpError("a dump whose slots have another shape than this program's")
    if content.get("rows", ROWS) != ROWS:
        raise DumpError("a dump whose records have another shape than this program's")
    return content


def dump_bucket(stage: ParcelStage, bucket: int, position: str = "") -> bytes:
    """The slots and remembered ids of one bucket. Codes in it are of the engine's names."""
    return seal({"position": position, "bucket": bucket, "slots": _packed(_bytes(_copies(stage, bucket)))})


def load_bucket(stage: ParcelStage, data: bytes) -> tuple[int, str]:
    """Into the bucket it came from; returns bucket and position. Totals of places are not part of a bucket."""
    content = unseal(data)
    bucket = content["bucket"]
    used, live = _count(stage, bucket)
    _put_bucket(stage, bucket, _unpacked(content["slots"]))
    used_now, live_now = _count(stage, bucket)
    stage.world.counts[fields.USED_SLOTS] += used_now - used
    stage.world.counts[fields.LIVE_PARCELS] += live_now - live
    return bucket, content["position"]


def _count(stage: ParcelStage, bucket: int) -> tuple[int, int]:
    """Slots in use, and those of them that are live."""
    slots, _ = stage.used_slots(bucket)
    return len(slots), int(np.count_nonzero(slots["state"] & LIFE == LIVE))


def _copies(stage: ParcelStage, bucket: int) -> list[Records]:
    return [*stage.used_slots(bucket), *stage.seen(bucket)]


def _bytes(copies: list[Records]) -> list[bytes]:
    return [copy.tobytes() for copy in copies]


def _put_bucket(stage: ParcelStage, bucket: int, parts: list[bytes]) -> None:
    slots = np.frombuffer(parts[0], SLOT)
    if not stage.put_slots(bucket, slots, np.frombuffer(parts[1], BACKGROUND)):
        raise DumpError("the dump has more parcels than max_live_parcels leaves room for")
    stage.put_seen(bucket, [np.frombuffer(part, np.uint64) for part in parts[2:]])


def dump(engine: Engine, position: str) -> bytes:
    return finished(copying(engine, position))()


def finished(steps: Generator[None, None, T]) -> T:
    """What a generator answers, all its steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: T = end.value
            return answer


def copying(engine: Engine, position: str) -> Generator[None, None, Callable[[], bytes]]:
    """Copies piece after piece, then bucket after bucket; answers with what makes the dump of the copies, in any thread."""
    stage = engine.stage
    rest: dict[str, Any] = {}
    for name, state in _rest(engine).items():
        rest[name] = _encoded(state())
        yield
    rest["names"] = names = {name: _encoded(known) for name, known in engine.names.interned().items()}
    yield
    pieces: list[bytes] = []
    for some in engine.names.hashed(SIDES):
        pieces.append(msgspec.msgpack.encode(some))
        yield
    names["sides"] = _one_array(pieces, len(engine.names.sides))
    rest["episodes"] = episodes = []
    for rows in engine.episodes.state():
        episodes += [_encoded(row) for row in rows]
        yield
    buckets = []
    for bucket in range(BUCKETS):
        buckets.append(_copies(stage, bucket))
        yield
    return partial(_sealed, position, rest, buckets)


def _encoded(value: Any) -> msgspec.Raw:
    """At once, as what it is of goes on changing."""
    return msgspec.Raw(msgspec.msgpack.encode(value))


def _one_array(pieces: list[bytes], rows: int) -> msgspec.Raw:
    """The array of all that arrays of `SIDES` rows hold, the last of fewer."""
    head = b"\xdd" + rows.to_bytes(4, "big")
    return msgspec.Raw(b"".join([head, *(piece[_head_of(piece) :] for piece in pieces)]))


def _head_of(array: bytes) -> int:
    """Bytes before its first row: msgpack has a short form for up to fifteen."""
    return 3 if array[0] == _ARRAY_16 else 1


def _sealed(position: str, rest: Mapping[str, Any], buckets: list[list[Records]]) -> bytes:
    return seal(
        {
            "position": position,
            "rest": _packed(rest),
            "buckets": [_packed(_bytes(copies)) for copies in buckets],
        }
    )


def _rest(engine: Engine) -> dict[str, Callable[[], Any]]:
    """All but the buckets and the episodes, of which there may be many."""
    stage = engine.stage
    world = stage.world
    rows = {
        "lanes": stage.lane_count + 1,
        "passed": stage.lane_count + 1,
        "facilities": len(engine.names.facilities) + 1,
        "feeds": len(engine.names.sources) + 1,
        "regions": stage.region_pairs + 1,
    }
    return {
        "now": lambda: engine.now,
        "zones": stage.places.zones.dump,
        "totals": lambda: {name: getattr(world, name)[:count].tobytes() for name, count in rows.items()},
        "outcomes": world.outcomes.tolist,
        "counts": world.counts.tolist,
        "learned": lambda: stage.learned.state(stage.lane_count),
        "census": lambda: [engine.census_at, sorted(engine.census_left), sorted(engine.hasten_left)],
        "place": engine.place.state,
        "watching": engine.watching.state,
        "holding": engine.holding.state,
        "jams": engine.jams.state,
        "stops": engine.stops.state,
        "pacing": engine.pacing.state,
        "complaints": engine.complaints.state,
    }


def load(engine: Engine, data: bytes) -> str:
    sealed = unseal(data)
    content = _unpacked(sealed["rest"])
    stage = engine.stage
    engine.names.load(content["names"])
    stage.places.reload(content["zones"])
    engine.frames.forget()
    engine.where.forget()
    for bucket, parts in enumerate(sealed["buckets"]):
        _put_bucket(stage, bucket, _unpacked(parts))
    _put_totals(stage, content["totals"])
    stage.world.outcomes[: len(content["outcomes"])] = content["outcomes"]
    stage.world.counts[:] = content["counts"]
    stage.learned.restore(content["learned"])
    engine.now = content["now"]
    engine.census_at, left, *hasten = content["census"]
    engine.census_left = set(left)
    if hasten and isinstance(hasten[0], list):
        engine.hasten_left = set(hasten[0])
    else:  # an older version said due times by the long limits alone: the next census says them anew
        engine.census_at = 0
    engine.place.restore(content["place"])
    engine.watching.restore(content["watching"])
    engine.holding.restore(content["holding"])
    engine.holding.settle(engine.now)
    engine.jams.restore(content["jams"])
    if "stops" in content:  # younger than the format
        engine.stops.restore(content["stops"])
    engine.pacing.restore(content["pacing"])
    engine.episodes.restore(content["episodes"])
    engine.complaints.restore(content["complaints"])
    position: str = sealed["position"]
    return position


def _put_totals(stage: ParcelStage, totals: Mapping[str, bytes]) -> None:
    """The totals, and the maps from pairs to codes, entered in the order of their codes."""
    world = stage.world
    lanes = len(totals["lanes"]) // LANE.itemsize
    if lanes > len(world.lanes):
        raise DumpError("the dump has more lanes than max_lanes leaves room for")
    for name, dtype in _TOTALS.items():
        array = getattr(world, name)
        flat = np.frombuffer(totals[name], dtype)
        array[: len(flat) // max(array[0].size, 1)] = flat.reshape(-1, *array.shape[1:])
    for lane in world.lanes[1:lanes].tolist():
        lane_of(world, *lane)
    pairs = len(totals["regions"]) // REGION.itemsize
    for region, carrier, *_ in world.regions[1:pairs].tolist():
        region_pair(world, region, carrier)
