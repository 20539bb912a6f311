"""Amounts and moments as providers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from babel.numbers import get_currency_precision

from notifier.sending import Instant


def major(amount: int, currency: str) -> str:
    """500 CNY -> "5.00", 500 JPY -> "500"."""
    return str(Decimal(amount).scaleb(-get_currency_precision(currency)))


def rfc3339(moment: Instant) -> str:
    """Whole seconds, UTC, with a Z."""
    return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
