"""AfterShip's tracking webhook: every checkpoint each time. `checkpoint_time` is local to the checkpoint and has no zone.

Since 2026-01 a checkpoint has `postal_code` where it had `zip`; both are read, whatever version the URL is pinned to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.feeds.aftership.codes import CODES, TAGS
from monitor.feeds.base import Parsed, Push, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, text_of
from monitor.feeds.hmac_feed import HmacFeed
from monitor.feeds.zones import end_of_day, zone_of

HEADER = "aftership-hmac-sha256"


class AfterShip(HmacFeed):
    kind = "aftership"
    header = HEADER

    def parse(self, push: Push) -> Parsed:
        message = dict_of(decode_json(push.raw).get("msg"))
        drafts = Drafts(self.name, self.places, push)
        lines = list_of(message.get("checkpoints"))
        carrier = text_of(message.get("slug"))
        about = {
            "number": text_of(message.get("tracking_number")),
            "order_id": text_of(message.get("order_id")) or text_of(message.get("order_number")),
            "estimated_at": end_of_day(message.get("expected_delivery"), self._zone),
        }
        for line in lines:
            self._scan(dict_of(line), drafts, about, carrier, text_of(message.get("signed_by")))
        return drafts.parsed

    def _scan(
        self,
        line: Mapping[str, Any],
        drafts: Drafts,
        about: dict[str, Any],
        carrier: str | None,
        signed_by: str | None,
    ) -> None:
        subtag, tag = text_of(line.get("subtag")), text_of(line.get("tag"))
        code = CODES.get(subtag) if subtag else TAGS.get(tag or "")
        country = text_of(line.get("country_iso3"))
        city = text_of(line.get("city"))
        region = self.places.locate(
            country,
            text_of(line.get("state")),
            city,
            text_of(line.get("postal_code")) or text_of(line.get("zip")),
        )
        location = text_of(line.get("location"))
        drafts.scan(
            line,
            carrier=text_of(line.get("slug")) or carrier,
            at=text_of(line.get("checkpoint_time")),
            zone=zone_of(region, self._zone),
            code=code,
            raw_code=subtag or tag or "",
            key=(text_of(line.get("message"), 1000), location),
            facility=location or city,
            region=region or drafts.place(None, country or location),
            signed_by=signed_by if code and code.status == "delivered" else None,
            **about,
        )
