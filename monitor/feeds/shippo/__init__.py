"""Shippo's track_updated: the whole history each time, times with a zone; the order's id travels in `metadata`.

Shippo signs only on request. Until then the URL carries the secret as `?token=`; with `signed = true` the token is not
enough, and a signature older than `tolerance_seconds` is refused.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Parsed, Push, Refusal, Rejected, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, text_of
from monitor.feeds.options import ZonedOptions
from monitor.feeds.shippo.codes import meaning
from monitor.feeds.signing import given, hmac_hex, same
from monitor.feeds.zones import end_of_day, zone_of

HEADER = "shippo-auth-signature"
_ORDER = re.compile(r"(?i)^order\s+")


class ShippoOptions(ZonedOptions):
    signed: bool = Field(False, description="Shippo has switched signatures on for this account")
    tolerance_seconds: int = Field(300, ge=1, description="how old a signature may be")


class Shippo(Base):
    kind = "shippo"
    Options = ShippoOptions

    def __init__(self, name: str, options: ShippoOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._secret = options.secret.get_secret_value().encode()
        self._signed = options.signed
        self._tolerance = options.tolerance_seconds * 1000
        self._zone = options.zone

    def verify(self, push: Push) -> None:
        if not self._signed:
            token = given(push.query, "token")
            return same(self._secret.decode(), token)
        parts = dict(part.partition("=")[::2] for part in given(push.headers, HEADER).split(","))
        stamp, signature = parts.get("t", ""), given(parts, "v1")
        same(hmac_hex(self._secret, stamp.encode() + b"." + push.raw), signature.lower())
        if not stamp.isdecimal() or abs(int(stamp[:12]) * 1000 - push.received_at) > self._tolerance:
            raise Rejected(Refusal.STALE)
        return None

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        if not self._signed:
            return Push(body, headers, {**query, "token": self._secret.decode()}, received_at)
        stamp = str(received_at // 1000)
        signature = hmac.new(self._secret, stamp.encode() + b"." + body, "sha256").hexdigest()
        return Push(body, {**headers, HEADER: f"t={stamp},v1={signature}"}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        data = dict_of(decode_json(push.raw).get("data"))
        drafts = Drafts(self.name, self.places, push)
        carrier = text_of(data.get("carrier"))
        order = text_of(data.get("metadata"))
        about = {
            "number": text_of(data.get("tracking_number")),
            "carrier": carrier.lower() if carrier else None,
            "order_id": _ORDER.sub("", order) if order else None,
            "estimated_at": end_of_day(data.get("eta"), self._zone),
        }
        for line in [*list_of(data.get("tracking_history")), data.get("tracking_status")]:
            if line is not None:
                self._scan(dict_of(line), drafts, about)
        return drafts.parsed

    def _scan(self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any]) -> None:
        status = text_of(line.get("status")) or ""
        substatus = text_of(dict_of(line.get("substatus")).get("code")) or ""
        address = dict_of(line.get("location"))
        country, city = text_of(address.get("country")), text_of(address.get("city"))
        region = self.places.locate(country, text_of(address.get("state")), city, text_of(address.get("zip")))
        drafts.scan(
            line,
            at=text_of(line.get("status_date")),
            zone=zone_of(region, self._zone),
            code=meaning(status, substatus),
            raw_code="/".join(filter(None, (status, substatus))),
            key=(text_of(line.get("status_details"), 1000), city),
            facility=city,
            region=region or drafts.place(None, country),
            **about,
        )
