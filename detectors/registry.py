"""The table of detectors: name to dotted path, imported on first use.

A detector is a module, a line here, and a recorded stream under `tests/recordings/`. Its constructor takes keywords
only, each with a default; the shop's `timezone` is given to those that ask for it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

from detectors.interfaces import ParcelDetector, PlaceDetector

PLACE: Mapping[str, str] = {
    "feed_silent": "detectors.feed_silent:FeedSilent",
    "complaint_spike": "detectors.complaint_spike:ComplaintSpike",
    "facility_congested": "detectors.facility_congested:FacilityCongested",
    "signature_suspect": "detectors.signature:SignatureSuspect",
    "carrier_degraded": "detectors.degraded:CarrierDegraded",
    "backlog_forecast": "detectors.backlog:BacklogForecast",
    "repeat_complainer": "detectors.repeat_complainer:RepeatComplainer",
}
PARCEL: Mapping[str, str] = {
    "late_predicted": "detectors.late:LatePredicted",
}


def place(name: str, shop: Mapping[str, Any] | None = None, **options: Any) -> PlaceDetector:
    """`shop` holds what several detectors want to know (timezone); `options` are this one's own."""
    return cast("PlaceDetector", _build(PLACE, name, shop or {}, options))


def parcel(name: str, shop: Mapping[str, Any] | None = None, **options: Any) -> ParcelDetector:
    return cast("ParcelDetector", _build(PARCEL, name, shop or {}, options))


def _build(table: Mapping[str, str], name: str, shop: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    if name not in table:
        raise ValueError(f"no detector {name!r} here; there are: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    detector = getattr(importlib.import_module(module), attribute)
    wanted = inspect.signature(detector).parameters
    return detector(**{key: value for key, value in shop.items() if key in wanted}, **options)
