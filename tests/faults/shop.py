"""The events of a torture: each order's promise was broken an hour ago, and the customer is to hear of it once."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from monitor.records import when

HOUR: Final = 3_600_000
STREET: Final = "Nanjing West Road 1717"
NAME: Final = "Wang Xiaoming"
MAIL: Final = "@customers.example"
PHONES: Final = 1_391_000_0000  # and those after it, one a customer
AMOUNT: Final = 500  # minor units: what the default policy gives for a small order


def phone(number: int) -> str:
    return str(PHONES + number)


def home(number: int) -> str:
    """One a customer: apologies to one address are capped."""
    return f"{STREET}, room {number}"


def story(number: int, now: int) -> list[dict[str, Any]]:
    """An order, and its parcel that stands somewhere."""
    order = {
        "kind": "order", "source": "shop", "order_id": f"o-{number}", "customer_id": f"c-{number}",
        "amount": 129.0, "currency": "CNY", "locale": "zh-CN", "promised_at": when(now - HOUR),
        "contact": {"phone": phone(number), "email": f"c{number}{MAIL}", "name": NAME, "address": home(number)},
    }  # fmt: skip
    parcel = f"SF{number:08}"
    return [
        {**order, "event_id": f"placed-{number}", "status": "placed", "occurred_at": when(now - 30 * HOUR)},
        {**order, "event_id": f"shipped-{number}", "status": "shipped", "tracking_number": parcel,
         "occurred_at": when(now - 5 * HOUR)},
        {"kind": "tracking", "event_id": f"accepted-{number}", "source": "feed", "tracking_number": parcel,
         "carrier": "sf", "status": "accepted", "occurred_at": when(now - 4 * HOUR)},
    ]  # fmt: skip


def shuffled(findings: int, dice: random.Random) -> list[int]:
    """One of seven comes twice, and all are out of order a little."""
    numbers = [number for number in range(findings) for _ in range(2 if number % 7 == 0 else 1)]
    return sorted(numbers, key=lambda number: number + dice.uniform(0, 30))


def bodies(numbers: list[int], now: int, size: int = 7) -> Iterator[bytes]:
    """Requests of a few stories each; every tenth has an event that is none, with a phone in it."""
    for place, start in enumerate(range(0, len(numbers), size)):
        events = [event for number in numbers[start : start + size] for event in story(number, now)]
        lines = [json.dumps(event) for event in events]
        if place % 10 == 0:
            bad = {"kind": "order", "event_id": f"bad-{place}", "source": "shop", "status": "flying",
                   "customer_id": phone(start), "contact": {"phone": phone(start)}}  # fmt: skip
            lines.append(json.dumps(bad))
        yield "\n".join(lines).encode()
