"""EasyPost's tracker events: the whole history each time, oldest first, times with a zone.

The secret is normalised to NFKD before it signs: two keyboards write the same é in two ways.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from monitor.feeds.base import Parsed, Push, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, text_of
from monitor.feeds.easypost.codes import meaning
from monitor.feeds.hmac_feed import HmacFeed
from monitor.feeds.signing import hmac_hex
from monitor.feeds.zones import end_of_day, zone_of

HEADER = "x-hmac-signature"
PREFIX = "hmac-sha256-hex="


class EasyPost(HmacFeed):
    kind = "easypost"
    header = HEADER

    @staticmethod
    def _key(secret: str) -> bytes:
        return unicodedata.normalize("NFKD", secret).encode()

    def _signature(self, raw: bytes) -> str:
        return PREFIX + hmac_hex(self._secret, raw)

    def parse(self, push: Push) -> Parsed:
        tracker = dict_of(decode_json(push.raw).get("result"))
        drafts = Drafts(self.name, self.places, push)
        carrier = text_of(tracker.get("carrier"))
        about = {
            "number": text_of(tracker.get("tracking_code")),
            "carrier": carrier.lower() if carrier else None,
            "estimated_at": end_of_day(tracker.get("est_delivery_date"), self._zone),
        }
        for line in list_of(tracker.get("tracking_details")):
            self._scan(dict_of(line), drafts, about, text_of(tracker.get("signed_by")))
        return drafts.parsed

    def _scan(
        self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any], signed_by: str | None
    ) -> None:
        status, detail = text_of(line.get("status")) or "", text_of(line.get("status_detail")) or ""
        code = meaning(status, detail)
        address = dict_of(line.get("tracking_location"))
        country, city = text_of(address.get("country")), text_of(address.get("city"))
        region = self.places.locate(country, text_of(address.get("state")), city, text_of(address.get("zip")))
        drafts.scan(
            line,
            at=text_of(line.get("datetime")),
            zone=zone_of(region, self._zone),
            code=code,
            raw_code="/".join(filter(None, (status, detail))),
            key=(text_of(line.get("message"), 1000), city),
            facility=city,
            region=region or drafts.place(None, country),
            signed_by=signed_by if code and code.status == "delivered" else None,
            **about,
        )
