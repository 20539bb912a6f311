"""Compiles every kernel by small batches and some ticks: the first start says what it waits for.

The kernels of scans and of their lines take as long to compile as all others together, so a second process compiles
those meanwhile, into the cache that both read.
"""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors import warming
from monitor.columns import Batch
from monitor.decode import Decoder, warm
from monitor.engine.engine import Engine, no_scans
from monitor.engine.kernels.scans import apply_scans
from monitor.events import Order
from monitor.names import Names
from monitor.stream import Frame

_NIGHT = "2026-01-05T0{hour}:00:00Z"
_MOMENT = 1_767_571_200_000
_ARROW = "--arrow"
_SELDOM: Final = (50_000, 20, 20)  # as `gc.set_threshold` takes it


def warm_kernels(uptime: Callable[[], float], *, arrow: bool = True) -> float:
    """Seconds it took: some tenths where the compiled kernels were cached, a minute where not. `arrow`: those of Arrow
    frames as well, which would else wait for the first of them.
    """
    began = uptime()
    helper = _helper(arrow=arrow) if _cold() else None
    with _seldom_collected():
        names = Names(places=1000, sides=1000)
        engine = _engine(names)
        frame = Frame("batch", "\n".join(_scans()).encode())
        for decoded in Decoder(names).decode([frame]):
            engine.feed(decoded.batch)
        if helper is not None:
            helper.wait()  # what it could not do is done here
        warm_the_rest(arrow=arrow)
        engine.tick(_MOMENT)
        engine.parcel("WARM1")
        _engine(names).load(engine.dump())
    return uptime() - began


def warm_the_rest(*, arrow: bool) -> None:
    """All but what scans of NDJSON go through."""
    warm(arrow=arrow)
    names = Names(places=1000, sides=1000)
    engine = _engine(names)
    engine.feed(Batch(no_scans(), [_ORDER]))
    engine.tick(_MOMENT + 600_000)
    engine.tick(_MOMENT + 1_200_000)
    engine.stage.hasten([0], _MOMENT // 1000)  # else at the first jam
    warming.warm()
    _engine(names).load(engine.dump())


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """The compiler makes objects by the hundred thousand, and to look through them as often as usual for garbage takes
    a fifth of its time. Never looking would take twice the memory.
    """
    usual = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _cold() -> bool:
    return not any(Path(apply_scans.stats.cache_path).glob("scans.apply_scans-*.nbi"))  # type: ignore[attr-defined]


def _helper(*, arrow: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__, *([_ARROW] if arrow else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _engine(names: Names) -> Engine:
    return Engine(EngineSettings(max_live_parcels=1000), DetectionSettings(), names)


_ORDER = Order(
    event_id="o",
    source="w",
    occurred_at=_MOMENT,
    received_at=_MOMENT,
    order_id="W1",
    customer_id="c",
    status="paid",
)


def _scans() -> list[str]:
    scan = (
        '{"kind":"tracking","event_id":"e%d","source":"w","occurred_at":"%s","tracking_number":"WARM1","carrier":"w",'
        '"status":"%s","region":"420100","facility":"H"}'
    )
    ways = ("accepted", "departed", "arrived", "out_for_delivery", "delivered")
    return [scan % (row, _NIGHT.format(hour=row), status) for row, status in enumerate(ways, start=1)]


if __name__ == "__main__":
    gc.set_threshold(*_SELDOM)
    warm_the_rest(arrow=_ARROW in sys.argv)
