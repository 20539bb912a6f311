"""When an order's money is back, all of it: a part of it (an item, a courtesy) leaves the order as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any, NamedTuple

from monitor.feeds.canonical import dict_of, list_of, number_of, text_of
from monitor.feeds.zones import instant
from monitor.times import parse_time

CENT = 0.005  # amounts are sums of text with two decimals


class Refunded(NamedTuple):
    """`refund`: the id of the one that made it whole, None where the order names none."""

    refund: str | None
    at: Any
    amount: float | None


def refunded(order: Mapping[str, Any], zone: tzinfo) -> Refunded | None:
    """None where money is still with the shop."""
    refunds = [dict_of(one) for one in list_of(order.get("refunds"))]
    currency = text_of(order.get("currency"))
    back = sum(amount for one in refunds for amount in _paid_back(one, currency))
    total = number_of(order.get("total_price")) or 0.0
    whole = total > 0 and back >= total - CENT
    if not whole and text_of(order.get("financial_status")) != "refunded":
        return None
    amount = round(back, 2) if back else None
    last = max(refunds, key=lambda one: _moment(one, zone), default=None)
    if last is None:
        return Refunded(None, order.get("updated_at"), amount)
    return Refunded(text_of(last.get("id")), _at(last), amount)


def _paid_back(refund: Mapping[str, Any], currency: str | None) -> Iterator[float]:
    """What went out, in the order's currency: an attempt that failed is listed as well, and so is what the customer
    saw in theirs.
    """
    for one in map(dict_of, list_of(refund.get("transactions"))):
        amount = number_of(one.get("amount"))
        theirs = text_of(one.get("currency")) or currency
        went = text_of(one.get("status")) in {None, "success"}
        if one.get("kind") == "refund" and went and theirs == currency and amount is not None:
            yield amount


def _at(refund: Mapping[str, Any]) -> Any:
    return refund.get("processed_at") or refund.get("created_at")


def _moment(refund: Mapping[str, Any], zone: tzinfo) -> int:
    at = _at(refund)
    found = instant(at, zone) if isinstance(at, str) else None
    return (parse_time(found) or 0) if found else 0
