"""What shop back ends share: who bought, and where it goes. Personal data stays in `contact` and goes nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from config.regions import Regions
from monitor.feeds.canonical import Drafts, text_of


def contact(phone: Any, email: Any, address: str | None = None) -> dict[str, str] | None:
    """None where nobody can be written to. The address is there to be hashed: one household under many names."""
    found = {"phone": text_of(phone), "email": text_of(email)}
    reachable = {name: value for name, value in found.items() if value}
    return reachable | ({"address": address} if address else {}) if reachable else None


def address_text(address: Mapping[str, Any], *fields: str) -> str | None:
    """Where it goes, to the door, in one line; None where the door is missing (the first of `fields`)."""
    parts = [text_of(address.get(field)) for field in fields]
    return ", ".join(part for part in parts if part) if parts[0] else None


class Buyer:
    """A guest has no id in the shop: a pseudonym of the address or phone stands in, so that two orders of one guest are
    one customer's, while nobody without the feed's secret can tell whose.
    """

    def __init__(self, customer_id: str | None, contact: Mapping[str, str] | None, secret: bytes) -> None:
        self.contact = contact
        self.id = customer_id
        known = contact and (contact.get("email") or contact.get("phone"))
        if customer_id is None and known:
            folded = known.strip().casefold().encode("utf-8", "surrogatepass")
            self.id = "guest-" + hashlib.blake2b(folded, key=secret[:64], digest_size=8).hexdigest()


def address_region(
    places: Regions,
    drafts: Drafts,
    address: Mapping[str, Any],
    country: str,
    state: str,
    city: str,
    postcode: str,
) -> str | None:
    """The region of an address; a named one that is in no region is counted."""
    land = text_of(address.get(country))
    found = places.locate(
        land, text_of(address.get(state)), text_of(address.get(city)), text_of(address.get(postcode))
    )
    return drafts.place(found, land or text_of(address.get(city)))
