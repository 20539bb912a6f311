"""Fulfilments: what was sent with which numbers, and where it is by now. An order has them all, a push of its own one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import tzinfo
from typing import Any

from monitor.feeds.canonical import Code, Drafts, list_of, text_of
from monitor.feeds.shopify.codes import CODES, NEVER_SENT, SENT


def numbers(fulfilment: Mapping[str, Any]) -> list[str]:
    """Its tracking numbers, each once."""
    several = [text_of(number) for number in list_of(fulfilment.get("tracking_numbers"))]
    found = list(dict.fromkeys(number for number in several if number))
    single = text_of(fulfilment.get("tracking_number"))
    return found or ([single] if single else [])


def carrier(fulfilment: Mapping[str, Any]) -> str | None:
    name = text_of(fulfilment.get("tracking_company"))
    return name.lower() if name else None


def sent(fulfilment: Mapping[str, Any]) -> bool:
    """Whether there is a parcel; older pushes have no status."""
    return (text_of(fulfilment.get("status")) or "success") in SENT


def read(
    fulfilment: Mapping[str, Any], drafts: Drafts, zone: tzinfo, elsewhere: Collection[str] = ()
) -> None:
    """The parcels come into being, or are called off where the fulfilment was. `elsewhere`: numbers that another
    fulfilment of the order sent after all.
    """
    state = text_of(fulfilment.get("status"))
    if not sent(fulfilment) and state not in NEVER_SENT:
        return drafts.foreign_status(state or "", fulfilment)
    scans = _scans(fulfilment) if sent(fulfilment) else _called_off(fulfilment)
    _teach(fulfilment, drafts)
    for number in numbers(fulfilment):
        if not sent(fulfilment) and number in elsewhere:
            continue
        for raw, code, at in scans:
            drafts.scan(
                fulfilment,
                number=number,
                carrier=carrier(fulfilment) or "unknown",
                order_id=text_of(fulfilment.get("order_id")),
                at=at,
                zone=zone,
                code=code,
                raw_code=raw,
            )
    return None


def _scans(fulfilment: Mapping[str, Any]) -> list[tuple[str, Code | None, Any]]:
    """`shipment_status` is where the parcel is by now."""
    scans = [("label_purchased", CODES.get("label_purchased"), fulfilment.get("created_at"))]
    said = text_of(fulfilment.get("shipment_status"))
    if said and said not in {"label_purchased", "confirmed"}:
        scans.append((said, CODES.get(said), fulfilment.get("updated_at")))
    return scans


def _called_off(fulfilment: Mapping[str, Any]) -> list[tuple[str, Code | None, Any]]:
    state = text_of(fulfilment.get("status")) or ""
    return [(state, Code("cancelled"), fulfilment.get("updated_at") or fulfilment.get("created_at"))]


def _teach(fulfilment: Mapping[str, Any], drafts: Drafts) -> None:
    """Fulfilment events name no parcel: what they say, they say of every parcel of their fulfilment."""
    identity = text_of(fulfilment.get("id"))
    found = numbers(fulfilment)
    if identity and found:
        by = carrier(fulfilment) or "unknown"
        drafts.parsed.learned[f"fulfillment:{identity}"] = [
            {"tracking_number": number, "carrier": by} for number in found
        ]
