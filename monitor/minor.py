"""Money in minor units: 50.1 CNY is 5010, 50 JPY is 50. How many digits a currency has is CLDR's word, here as everywhere."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Final

from babel.numbers import get_currency_precision

USUAL: Final = 2  # digits of a currency that nobody names


@cache
def exponent(currency: str | None) -> int:
    return get_currency_precision(currency) if currency else USUAL


def to_minor(amount: float | Decimal, currency: str | None) -> int:
    """Exact for what a person wrote: a float is read by its shortest text. Halves go to the even neighbour."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(amount))
    return int(exact.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_EVEN))


def to_major(amount: float, currency: str | None) -> float:
    """For reading, not for reckoning: 5010 minor units of CNY are 50.1. What is unlimited stays so."""
    scale: int = 10 ** exponent(currency)
    return amount / scale
