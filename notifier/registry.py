"""The tables of channels and coupon providers: name to dotted path, imported on first use."""

from __future__ import annotations

from collections.abc import Mapping

CHANNELS: Mapping[str, str] = {}
COUPONS: Mapping[str, str] = {}
