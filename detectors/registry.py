"""The table of detectors. A detector is a module, a line here, and a recorded stream under `tests/recordings/`."""

from __future__ import annotations

from collections.abc import Mapping

PLACE: Mapping[str, str] = {}
PARCEL: Mapping[str, str] = {}
