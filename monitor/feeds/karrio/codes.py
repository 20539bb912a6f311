"""karrio's statuses, and the carriers' own event codes where karrio passes them on unmapped.

Source of the statuses: karrio's list of tracker statuses (karrioapi/karrio at deea10f). An event has the carrier's code,
which means something only together with the carrier; FedEx's are those of the official EasyPost fixture and of
karrio's own example.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

STATUSES: Mapping[str, Code] = {
    "pending": Code("created"),
    "picked_up": Code("accepted"),
    "on_hold": Code("exception"),
    "cancelled": Code("cancelled"),
    "delivered": Code("delivered", "unknown"),
    "in_transit": Code("in_transit"),
    "delivery_failed": Code("attempt_failed"),
    "delivery_delayed": Code("exception"),
    "out_for_delivery": Code("out_for_delivery"),
    "ready_for_pickup": Code("held_for_pickup"),
    "return_to_sender": Code("returning"),
    "unknown": Code("unknown"),
}

CARRIER_CODES: Mapping[str, Mapping[str, Code]] = {
    "fedex": {
        "OC": Code("created"),
        "PU": Code("accepted"),
        "AR": Code("arrived"),
        "DP": Code("departed"),
        "IT": Code("in_transit"),
        "OD": Code("out_for_delivery"),
        "DL": Code("delivered", "unknown"),
    },
}
