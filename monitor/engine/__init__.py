"""The engine: the parcel stage (`stage`, `kernels`, its oracle `plain`) and the place stage (`place_stage`)."""

from __future__ import annotations

from monitor.engine.engine import Engine, ParcelView

__all__ = ["Engine", "ParcelView"]
