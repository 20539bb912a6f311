"""The parcel stage in plain Python: slow, obvious, one event at a time. The oracle that the kernels are tested against.

A parcel or order is a `Life`; the table is a dictionary. Running totals are not kept but counted when asked for.
Names are codes, times are seconds, exactly as in the kernels.
"""

from __future__ import annotations

from monitor.engine.plain.life import Life, Rules, Told
from monitor.engine.plain.orders import PlainOrders
from monitor.engine.plain.scans import PlainScans
from monitor.engine.plain.sweep import PlainSweep
from monitor.engine.plain.table import bin_of
from monitor.engine.plain.totals import PlainTotals

__all__ = ["Life", "PlainStage", "Rules", "Told", "bin_of"]


class PlainStage(PlainScans, PlainOrders, PlainSweep, PlainTotals):
    """Scans and orders in, what is to be said out; see `PlainTable` for what it is made with."""
