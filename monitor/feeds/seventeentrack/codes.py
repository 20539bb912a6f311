"""17TRACK's statuses, v2.2 and later. Sources: the list of sub-statuses in its document (v2.2), the key stages of
`milestone`, and TransportArrived and TransportDeparted, which public histories show.

"Departure" and "Arrival" are of the port of a country, not of a hub.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

CODES: Mapping[str, Code] = {
    "InfoReceived": Code("created"),
    "InTransit_PickedUp": Code("accepted"),
    "InTransit_Other": Code("in_transit"),
    "InTransit_Departure": Code("departed"),
    "InTransit_Arrival": Code("arrived"),
    "InTransit_TransportDeparted": Code("departed"),
    "InTransit_TransportArrived": Code("arrived"),
    "InTransit_CustomsProcessing": Code("customs_entered"),
    "InTransit_CustomsReleased": Code("customs_cleared"),
    "InTransit_CustomsRequiringInformation": Code("customs_held"),
    "Expired_Other": Code("exception"),
    "AvailableForPickup_Other": Code("held_for_pickup"),
    "OutForDelivery_Other": Code("out_for_delivery"),
    "DeliveryFailure_Other": Code("attempt_failed"),
    "DeliveryFailure_NoBody": Code("attempt_failed"),
    "DeliveryFailure_Security": Code("attempt_failed"),
    "DeliveryFailure_Rejected": Code("refused"),
    "DeliveryFailure_InvalidAddress": Code("attempt_failed"),
    "Delivered_Other": Code("delivered", "unknown"),  # 17TRACK never says to whom
    "Exception_Other": Code("exception"),
    "Exception_Returning": Code("returning"),
    "Exception_Returned": Code("returned"),
    "Exception_NoBody": Code("exception"),
    "Exception_Security": Code("exception"),
    "Exception_Damage": Code("damaged"),
    "Exception_Rejected": Code("refused"),
    "Exception_Delayed": Code("exception"),
    "Exception_Lost": Code("lost"),
    "Exception_Destroyed": Code("lost"),
    "Exception_Cancel": Code("cancelled"),
    "NotFound_Other": Code("unknown"),  # said of the parcel, not of a scan: nothing is known
    "NotFound_InvalidCode": Code("unknown"),
    # `stage`, where a scan has no sub-status: the key stages of the milestones
    "PickedUp": Code("accepted"),
    "Departure": Code("departed"),
    "Arrival": Code("arrived"),
    "AvailableForPickup": Code("held_for_pickup"),
    "OutForDelivery": Code("out_for_delivery"),
    "Delivered": Code("delivered", "unknown"),
    "Returning": Code("returning"),
    "Returned": Code("returned"),
    "InTransit": Code("in_transit"),
    "DeliveryFailure": Code("attempt_failed"),
    "Exception": Code("exception"),
    "Expired": Code("exception"),
    "NotFound": Code("unknown"),
}
