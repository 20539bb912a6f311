"""What is told to whoever asks without the token: parcels, orders, incidents, money; never a code that pays, nor which customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from monitor.subjects import CUSTOMER

Json: TypeAlias = Mapping[str, Any]

_HIDDEN: Final = frozenset({"coupon_code", "customer_id"})


def is_of_customer(story: Json) -> bool:
    """Without the token there is no such story, whichever id it was asked by."""
    return str(story.get("subject")).startswith(CUSTOMER)


def story_for_all(story: Json) -> Json:
    """Whoever has a tracking number may ask: not for the code that pays, nor for whose parcel it is."""
    records = [
        {name: value for name, value in record.items() if name not in _HIDDEN}
        for record in story.get("records", ())
    ]
    return {**story, "records": records}


def entry_for_all(entry: Json) -> Json:
    if not is_of_customer(entry):
        return entry
    return {**entry, "subject": f"{CUSTOMER}hidden"}
