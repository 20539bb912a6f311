"""AfterShip's sub-tags. Source: its list of delivery sub-statuses (support.aftership.com, 1b0hdlx; 016 to 018 since
2026-03-27). The list is open; Pending_002 to 006 have no published meaning and stay unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

CODES: Mapping[str, Code] = {
    "Delivered_001": Code("delivered", "unknown"),
    "Delivered_002": Code("collected"),
    "Delivered_003": Code("delivered", "recipient"),
    "Delivered_004": Code("delivered", "recipient"),  # cash on delivery
    "Delivered_005": Code("delivered", "proxy"),  # a neighbour
    "AvailableForPickup_001": Code("held_for_pickup"),
    "Exception_001": Code("exception"),
    "Exception_002": Code("exception"),  # the recipient moved
    "Exception_003": Code("refused"),
    "Exception_004": Code("customs_held"),
    "Exception_005": Code("exception"),  # reasons outside the carrier
    "Exception_006": Code("exception"),  # held for payment
    "Exception_007": Code("exception"),  # wrong address
    "Exception_008": Code("held_for_pickup"),  # not picked up in time, still waiting
    "Exception_009": Code("exception"),  # rejected by the carrier
    "Exception_010": Code("returning"),
    "Exception_011": Code("returned"),
    "Exception_012": Code("damaged"),
    "Exception_013": Code("lost"),
    "Exception_016": Code("exception"),  # processing delay
    "Exception_017": Code("exception"),  # extreme weather
    "Exception_018": Code("exception"),  # documents
    "AttemptFail_001": Code("attempt_failed"),
    "AttemptFail_002": Code("attempt_failed"),
    "AttemptFail_003": Code("attempt_failed"),
    "InTransit_001": Code("in_transit"),
    "InTransit_002": Code("accepted"),
    "InTransit_003": Code("arrived"),
    "InTransit_004": Code("arrived"),  # in the country of destination
    "InTransit_005": Code("customs_cleared"),
    "InTransit_006": Code("customs_entered"),
    "InTransit_007": Code("departed"),
    "InTransit_008": Code("in_transit"),  # a problem resolved
    "InTransit_009": Code("in_transit"),  # forwarded
    "InfoReceived_001": Code("created"),
    "OutForDelivery_001": Code("out_for_delivery"),
    "OutForDelivery_003": Code("out_for_delivery"),
    "OutForDelivery_004": Code("out_for_delivery"),
    "Pending_001": Code("created"),
    "Expired_001": Code("exception"),
}

# Only where a checkpoint has a tag and no sub-tag at all.
TAGS: Mapping[str, Code] = {
    "Pending": Code("created"),
    "InfoReceived": Code("created"),
    "InTransit": Code("in_transit"),
    "OutForDelivery": Code("out_for_delivery"),
    "AttemptFail": Code("attempt_failed"),
    "Delivered": Code("delivered", "unknown"),
    "AvailableForPickup": Code("held_for_pickup"),
    "Exception": Code("exception"),
    "Expired": Code("exception"),
}
