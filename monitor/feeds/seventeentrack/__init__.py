"""17TRACK's push, v2.2 and later: the whole history of each carrier of a parcel, newest first, with UTC times.

The header `sign` is the hex SHA-256 of the raw body, a slash and the key: a plain hash, not an HMAC.
"TRACKING_STOPPED" means that 17TRACK will say no more; three failed pushes and it is silent, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from config.regions import Regions
from monitor.feeds import chinese
from monitor.feeds.base import NOTHING, Base, Parsed, Push, decode_json
from monitor.feeds.canonical import Code, Drafts, dict_of, list_of, number_of, text_of
from monitor.feeds.options import ZonedOptions
from monitor.feeds.seventeentrack.codes import CODES
from monitor.feeds.signing import given, same
from monitor.feeds.zones import end_of_day, zone_of


class SeventeenTrack(Base):
    kind = "17track"
    Options = ZonedOptions

    def __init__(self, name: str, options: ZonedOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._key = options.secret.get_secret_value().encode()
        self._zone = options.zone

    def verify(self, push: Push) -> None:
        same(self._signature(push.raw), given(push.headers, "sign").lower())

    def _signature(self, body: bytes) -> str:
        return hashlib.sha256(body + b"/" + self._key).hexdigest()

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        return Push(body, {**headers, "sign": self._signature(body)}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        envelope = decode_json(push.raw)
        data = dict_of(envelope.get("data"))
        drafts = Drafts(self.name, self.places, push)
        number = text_of(data.get("number"))
        if number and envelope.get("event") == "TRACKING_STOPPED":
            drafts.parsed.unwatched.append(number)
        self.read(data, drafts)
        return drafts.parsed

    def read(self, data: Mapping[str, Any], drafts: Drafts) -> None:
        """One parcel; the answer of `gettrackinfo` has the same shape."""
        track = dict_of(data.get("track_info"))
        promise = dict_of(dict_of(track.get("time_metrics")).get("estimated_delivery_date"))
        about = {
            "number": text_of(data.get("number")),
            "order_id": text_of(data.get("order_no")) or text_of(data.get("tag")),
            "estimated_at": end_of_day(promise.get("to") or promise.get("from"), self._zone),
        }
        for provider in list_of(dict_of(track.get("tracking")).get("providers")):
            named = dict_of(dict_of(provider).get("provider"))
            carrier = text_of(named.get("name")) or text_of(named.get("key")) or text_of(data.get("carrier"))
            for line in list_of(dict_of(provider).get("events")):
                self._scan(dict_of(line), drafts, {**about, "carrier": carrier.lower() if carrier else None})

    def _scan(self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any]) -> None:
        raw = text_of(line.get("sub_status")) or text_of(line.get("stage")) or ""
        said = text_of(line.get("description"), 1000) or ""
        address = dict_of(line.get("address"))
        location = text_of(line.get("location"))
        country = text_of(address.get("country"))
        region = self.places.locate(
            country,
            text_of(address.get("state")),
            text_of(address.get("city")),
            text_of(address.get("postal_code")),
        )
        where = dict_of(address.get("coordinates"))
        drafts.scan(
            line,
            at=text_of(line.get("time_utc")) or text_of(line.get("time_iso")),
            zone=zone_of(region, self._zone),
            code=CODES.get(raw) if raw else chinese.stage(said) or Code("unknown"),
            raw_code=raw,
            key=(said, location),
            facility=location,
            region=region or drafts.find(location, country=country),
            latitude=number_of(where.get("latitude")),
            longitude=number_of(where.get("longitude")),
            **about,
        )
