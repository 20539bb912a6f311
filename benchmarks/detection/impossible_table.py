"""Orders of events that cannot be and really are in Olist, through the engine: how many are found, and what else is.

Impossible are: handed to the carrier before it was bought or before the payment was approved (by more than a minute,
which is a matter of clocks), delivered before it was handed over.
"""

from __future__ import annotations

import polars as pl

from benchmarks import olist
from benchmarks.detection.tables import Options, show
from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors.findings import Kind
from detectors.signature import SignatureSuspect
from monitor.decode import Decoder
from monitor.engine import Engine
from monitor.names import Names
from monitor.stream import Frame

STEP = 600_000
FRAME = 2000
CLOCKS = pl.duration(minutes=1)


def impossible(table: pl.DataFrame) -> dict[str, set[str]]:
    """Order ids by what is impossible about them."""
    handed, placed, paid, delivered = (pl.col(name) for name in ("handed", "placed", "paid", "delivered"))
    rules = {
        "handed over before it was bought": handed + CLOCKS < placed,
        "handed over before it was approved": handed + CLOCKS < paid,
        "delivered before it was handed over": delivered + CLOCKS < handed,
    }
    return {name: set(table.filter(rule)["order_id"].to_list()) for name, rule in rules.items()}


def suspected(events: pl.DataFrame) -> set[str]:
    """Ids of orders and numbers of parcels that the engine calls suspect over all events."""
    names = Names()
    engine = Engine(
        EngineSettings(), DetectionSettings(), names, timezone="America/Sao_Paulo",
        place=[SignatureSuspect(timezone="America/Sao_Paulo")], parcel=(),
    )  # fmt: skip
    decoder = Decoder(names)
    lines, at = events["line"].to_list(), events["at"].to_numpy()
    found: set[str] = set()
    start = 0
    while start < len(lines):
        tick = (int(at[start]) // STEP + 1) * STEP
        stop = min(int(at.searchsorted(tick, "right")), start + FRAME)
        data = "\n".join(lines[start:stop]).encode()
        for decoded in decoder.decode([Frame("batch", data)]):
            engine.feed(decoded.batch)
        start = stop
        if start == len(lines) or at[start] > tick:
            found |= {one.subject.id for one in engine.tick(tick) if one.kind is Kind.SIGNATURE_SUSPECT}
    return found


def table(options: Options) -> None:
    folder = options.data / "olist"
    if not folder.exists():
        print(f"impossible: no {folder}")
        return
    orders = olist.orders(folder)
    found = suspected(olist.events(orders))
    whose = {olist.tracking(name): name for name in orders["order_id"]}
    accused = {whose.get(name, name) for name in found}
    groups = impossible(orders)
    rows: list[tuple[object, ...]] = [(name, len(ids), len(ids & accused)) for name, ids in groups.items()]
    others = set(orders["order_id"]) - set().union(*groups.values())
    rows.append(("all others", len(others), len(others & accused)))
    show("Impossible orders in Olist, through the engine", ("", "orders", "questioned"), rows)
