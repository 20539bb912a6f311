"""Shippo's statuses and sub-statuses. Source: goshippo/shippo-python-sdk, docs/models/components/track.md at 47df6c4, and the
list of substatus codes in its tracking guide.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

STATUSES: Mapping[str, Code] = {
    "UNKNOWN": Code("unknown"),
    "PRE_TRANSIT": Code("created"),
    "TRANSIT": Code("in_transit"),
    "DELIVERED": Code("delivered", "unknown"),
    "RETURNED": Code("returning"),  # on the way back, or back already: the status does not tell
    "FAILURE": Code("exception"),
}

# These say all there is to say; their sub-statuses are placeholders in Shippo's own examples.
FINAL = frozenset({"DELIVERED", "PRE_TRANSIT"})

SUBSTATUSES: Mapping[str, Code] = {
    "information_received": Code("created"),
    "address_issue": Code("exception"),
    "contact_carrier": Code("exception"),
    "delayed": Code("exception"),
    "delivery_attempted": Code("attempt_failed"),
    "delivery_rescheduled": Code("attempt_failed"),
    "delivery_scheduled": Code("in_transit"),
    "location_inaccessible": Code("attempt_failed"),
    "notice_left": Code("attempt_failed"),
    "out_for_delivery": Code("out_for_delivery"),
    "package_accepted": Code("accepted"),
    "package_arrived": Code("arrived"),
    "package_damaged": Code("damaged"),
    "package_departed": Code("departed"),
    "package_forwarded": Code("in_transit"),
    "package_held": Code("exception"),
    "package_processed": Code("in_transit"),
    "package_processing": Code("in_transit"),
    "pickup_available": Code("held_for_pickup"),
    "reschedule_delivery": Code("attempt_failed"),
    "delivered": Code("delivered", "unknown"),
    "return_to_sender": Code("returning"),
    "package_unclaimed": Code("returning"),
    "package_undeliverable": Code("exception"),
    "package_disposed": Code("lost"),
    "package_lost": Code("lost"),
}

SAYS_NOTHING = frozenset({"", "other"})


def meaning(status: str, substatus: str) -> Code | None:
    if status not in STATUSES:
        return None
    if status in FINAL or substatus in SAYS_NOTHING:
        return STATUSES[status]
    return SUBSTATUSES.get(substatus)
