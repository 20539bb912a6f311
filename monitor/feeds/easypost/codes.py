"""EasyPost's statuses and details. Sources: the official fixtures (EasyPost/examples) and the list of `status_detail`.

The status decides where it says more than "on the way": a delivered parcel has the detail "arrived_at_destination".
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

STATUSES: Mapping[str, Code] = {
    "delivered": Code("delivered", "unknown"),
    "out_for_delivery": Code("out_for_delivery"),
    "available_for_pickup": Code("held_for_pickup"),
    "return_to_sender": Code("returning"),
    "cancelled": Code("cancelled"),
    "pre_transit": Code("created"),
}

# With these statuses the detail decides; the status alone where the detail says nothing.
OPEN: Mapping[str, Code] = {
    "in_transit": Code("in_transit"),
    "failure": Code("exception"),
    "error": Code("exception"),
    "unknown": Code("unknown"),
}

SAYS_NOTHING = frozenset({"", "unknown", "status_update"})

DETAILS: Mapping[str, Code] = {
    "address_correction": Code("exception"),
    "arrived_at_destination": Code("arrived"),
    "arrived_at_facility": Code("arrived"),
    "arrived_at_pickup_location": Code("held_for_pickup"),
    "awaiting_information": Code("created"),
    "cancelled": Code("cancelled"),
    "damaged": Code("damaged"),
    "delayed": Code("exception"),
    "delivery_exception": Code("exception"),
    "departed_facility": Code("departed"),
    "departed_origin_facility": Code("departed"),
    "expired": Code("exception"),
    "failure": Code("exception"),
    "held": Code("exception"),
    "in_transit": Code("in_transit"),
    "label_created": Code("created"),
    "lost": Code("lost"),
    "missorted": Code("exception"),
    "out_for_delivery": Code("out_for_delivery"),
    "received_at_destination_facility": Code("arrived"),
    "received_at_origin_facility": Code("accepted"),
    "refused": Code("refused"),
    "return": Code("returning"),
    "transferred_to_destination_carrier": Code("in_transit"),
    "transit_exception": Code("exception"),
    "weather_delay": Code("exception"),
}


def meaning(status: str, detail: str) -> Code | None:
    if status in STATUSES:
        return STATUSES[status]
    if status not in OPEN:
        return None
    return OPEN[status] if detail in SAYS_NOTHING else DETAILS.get(detail)
