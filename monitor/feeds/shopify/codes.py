"""Shopify's fulfilment event statuses. Source: shopify.dev, FulfillmentEventStatus (latest and unstable), lower case as REST
and webhooks write them; `shipment_status` of a fulfilment uses the same words.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

CODES: Mapping[str, Code] = {
    "label_purchased": Code("created"),
    "label_printed": Code("created"),
    "confirmed": Code("created"),  # the default where nothing else is known
    "carrier_picked_up": Code("accepted"),
    "in_transit": Code("in_transit"),
    "delayed": Code("exception"),
    "out_for_delivery": Code("out_for_delivery"),
    "attempted_delivery": Code("attempt_failed"),
    "ready_for_pickup": Code("held_for_pickup"),
    "ready_for_recipient_pickup": Code("held_for_pickup"),
    "picked_up": Code("collected"),
    "delivered": Code("delivered", "unknown"),
    "failure": Code("exception"),
    "buyer_action_required": Code("exception"),
    "returning_to_sender": Code("returning"),
}

# `status` of a fulfilment, not of its parcel. Source: shopify.dev, FulfillmentStatus; `pending` and `open` are deprecated.
SENT = frozenset({"success", "open", "pending"})
NEVER_SENT = frozenset({"cancelled", "error", "failure"})

# Topics whose push is a whole order; one without a topic is one as well. `orders/edited` and `orders/delete` are none.
ORDERS = frozenset(
    f"orders/{what}"
    for what in ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled")
)
PAID = frozenset({"paid", "partially_refunded", "refunded"})
