"""karrio's tracker webhook: the whole history, newest first, local times in two fields without a zone.

Its documents show an HMAC in `X-Karrio-Signature`; its code sends the secret itself in `X-Event-Id`. Both are accepted,
so the URL must be https. An event carries the carrier's own code: only the newest is told by the tracker's status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Parsed, Push, decode_json
from monitor.feeds.canonical import Code, Drafts, dict_of, list_of, text_of
from monitor.feeds.karrio.codes import CARRIER_CODES, STATUSES
from monitor.feeds.options import ZonedOptions
from monitor.feeds.signing import given, hmac_hex, same
from monitor.feeds.zones import end_of_day, zone_of

SIGNED, IN_CLEAR = "x-karrio-signature", "x-event-id"


_TWELVE = re.compile(r"(\d{1,2}):(\d{2})\s*([AP])\.?M\.?", re.IGNORECASE)


def _clock(text: str | None) -> str | None:
    """15:21 as it is; newer versions write 03:21 PM."""
    match = _TWELVE.fullmatch(text) if text else None
    if match is None:
        return text
    hour = int(match[1]) % 12 + (12 if match[3].upper() == "P" else 0)
    return f"{hour:02d}:{match[2]}"


class Karrio(Base):
    kind = "karrio"
    Options = ZonedOptions

    def __init__(self, name: str, options: ZonedOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._secret = options.secret.get_secret_value()
        self._zone = options.zone

    def verify(self, push: Push) -> None:
        if SIGNED in push.headers:
            same(
                hmac_hex(self._secret.encode(), push.raw), given(push.headers, SIGNED).removeprefix("sha256=")
            )
        else:
            same(self._secret, given(push.headers, IN_CLEAR))

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        signature = "sha256=" + hmac_hex(self._secret.encode(), body)
        return Push(body, {**headers, SIGNED: signature}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        tracker = dict_of(decode_json(push.raw).get("data"))
        drafts = Drafts(self.name, self.places, push)
        carrier = text_of(tracker.get("carrier_name"))
        status = text_of(tracker.get("status")) or ""
        about = {
            "number": text_of(tracker.get("tracking_number")),
            "carrier": carrier.lower() if carrier else None,
            "order_id": text_of(dict_of(tracker.get("metadata")).get("order_id")),
            "estimated_at": end_of_day(tracker.get("estimated_delivery"), self._zone),
        }
        for row, line in enumerate(list_of(tracker.get("events"))):
            self._scan(dict_of(line), drafts, about, status if row == 0 else "")
        return drafts.parsed

    def _scan(self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any], newest: str) -> None:
        raw = text_of(line.get("code")) or ""
        said = text_of(line.get("status")) or ""  # newer versions say the normalised status of each event
        own = CARRIER_CODES.get(about["carrier"] or "", {}).get(raw)
        code = STATUSES.get(said) if said else own or STATUSES.get(newest)
        if not (raw or said or newest):
            code = Code("unknown")
        location = text_of(line.get("location"))
        region = self.places.find(location) if location else None
        day, hour = text_of(line.get("date")), _clock(text_of(line.get("time")))
        drafts.scan(
            line,
            at=f"{day}T{hour or '00:00'}" if day else None,
            zone=zone_of(region, self._zone),
            code=code,
            raw_code=said or raw or newest,
            own_code=said or raw,
            key=(text_of(line.get("description"), 1000), location),
            facility=location,
            region=region or drafts.place(None, location),
            **about,
        )
