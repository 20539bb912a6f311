"""Small runs of all that kernels are for. Whoever has run every part has all kernels: which these are is written nowhere.

Nobody need wait for those of `later`: until they are there, lines of NDJSON are decoded in full. What takes longest to compile comes first, so that two who draw parts end together; the last is a small world, which
needs most of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors import warming
from monitor import decode
from monitor.columns import Batch, Scans
from monitor.decode import Decoded, Decoder
from monitor.engine.engine import Engine, no_scans
from monitor.engine.layout import DUE, Records, What
from monitor.events import Order
from monitor.linerows import PRESENCE
from monitor.names import Names
from monitor.skim import skim
from monitor.stream import Frame
from monitor.vocabulary import Segment

_MOMENT = 1_767_571_200_000
_STEP = 3 * 3_600_000
_DAYS = 2
_PARCELS_A_DAY = 30
_SETTINGS = EngineSettings(max_live_parcels=1000), DetectionSettings(learning_hours=0)
_SCAN = (
    b'{"kind":"tracking","event_id":"e","source":"w","occurred_at":"2026-01-05T01:00:00Z","tracking_number":"W1",'
    b'"carrier":"w","status":"accepted","region":"420100","facility":"H"}'
)
_ORDER = Order(
    event_id="o",
    source="w",
    occurred_at=_MOMENT,
    received_at=_MOMENT,
    order_id="W1",
    customer_id="c",
    status="paid",
)


def parts(*, arrow: bool = False) -> Sequence[Callable[[], None]]:
    """What is needed to be at work. `arrow`: with those of Arrow frames."""
    return (
        _scans,
        _time,
        _lines,
        *([_plain_arrow, _arrow] if arrow else []),
        _orders,
        warming.warm,
        _names,
        _world,
    )


def later() -> Sequence[Callable[[], None]]:
    return (_skimmed,)


def _engine(names: Names) -> Engine:
    return Engine(*_SETTINGS, names)


def _bare() -> Engine:
    """Without detectors, whose libraries take a second to import."""
    return Engine(*_SETTINGS, _small(), place=(), parcel=())


def _small() -> Names:
    return Names(places=1000, sides=1000)


def _scans() -> None:
    columns = no_scans()
    rows = {name: np.zeros(1, getattr(columns, name).dtype) for name in Scans.__slots__}
    _bare().feed(Batch(Scans(**rows)))


def _time() -> None:
    engine = _bare()
    for hour in range(2):
        engine.tick(_MOMENT + hour * 3_600_000)
    engine.stage.hasten([0], _MOMENT // 1000)  # else at the first jam
    engine.judge.dues(_stall(engine.names), _MOMENT)  # else at the first stall
    engine.parcel("W1")
    _bare().load(engine.dump())


def _stall(names: Names) -> Records:
    due = np.zeros(1, DUE)
    due["what"] = What.STALL
    due["slot"]["segment"] = Segment.FACILITY
    due["slot"]["key0"], due["slot"]["key1"] = names.pack("W1")
    return due


def _lines() -> None:
    for lines in (
        [_SCAN],
        [_SCAN] * 20,
        [*[_SCAN] * 20, b"{"],
    ):  # a few, many, and one that makes them be looked at one by one
        _decoded(Decoder(_small()), lines)


def _decoded(decoder: Decoder, lines: Sequence[bytes]) -> list[Decoded]:
    with PRESENCE.away():
        return list(decoder.decode([Frame("batch", b"\n".join(lines))]))


def _skimmed() -> None:
    for names in (None, _small()):
        checked = skim(b"\n".join([_SCAN] * 20), None, names)
        assert checked is not None, "nothing plainer than this"  # noqa: S101
        checked.batch(names or _small())


def _orders() -> None:
    _bare().feed(Batch(no_scans(), [_ORDER]))


def _names() -> None:
    decode.warm(arrow=False)


def _plain_arrow() -> None:
    decode.warm_plain_arrow()


def _arrow() -> None:
    decode.warm(arrow=True)


def _world() -> None:
    """A shop's first days: orders, scans, complaints, and what the detectors make of them."""
    from monitor.simulate import World  # no other part needs it

    names = _small()
    engine, decoder = _engine(names), Decoder(names)
    world = World(1, _MOMENT, parcels_per_day=_PARCELS_A_DAY, history_days=_DAYS)
    for moment in range(world.begin, _MOMENT, _STEP):
        for decoded in _decoded(decoder, world.until(moment)):
            engine.feed(decoded.batch)
        engine.tick(moment)
    _engine(_small()).load(engine.dump())
