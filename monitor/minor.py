"""Money in minor units: 50.1 CNY is 5010, 50 JPY is 50."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

# ISO 4217, the currencies whose minor unit is not a hundredth.
_EXPONENTS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def exponent(currency: str | None) -> int:
    return _EXPONENTS.get(currency or "", 2)


def to_minor(amount: float | Decimal, currency: str | None) -> int:
    """Exact for what a person wrote: a float is read by its shortest text. Halves go to the even neighbour."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(amount))
    return int(exact.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_EVEN))
