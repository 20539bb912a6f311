"""KDNiao's push: a form of `RequestData` (JSON text), `RequestType` and `DataSign`; many parcels, each with its whole
history. Times are Beijing time without a zone.

DataSign is base64 of the hex MD5 of RequestData and the API key. It is refused unless the answer has the provider's own
shape with `Success`: anything else is pushed again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from pydantic import Field

from config.regions import Regions
from monitor.feeds import chinese
from monitor.feeds.base import NOTHING, Answer, Base, Outcome, Parsed, Push, decode_json
from monitor.feeds.canonical import Code, Drafts, dict_of, list_of, text_of
from monitor.feeds.forms import FORM, Forms
from monitor.feeds.kdniao.codes import CARRIERS, CODES, IN_TRANSIT
from monitor.feeds.options import SignedOptions
from monitor.feeds.signing import given, md5_hex, same
from monitor.feeds.zones import CHINA, local_text

SENDING = frozenset({"202", "211", "3", "301", "302", "304", "311", "419"})


class KdniaoOptions(SignedOptions):
    """`secret` is the API key."""

    business_id: str = Field(min_length=1, description="EBusinessID, which the answer must repeat")


class Kdniao(Base):
    kind = "kdniao"
    Options = KdniaoOptions

    def __init__(self, name: str, options: KdniaoOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._key = options.secret.get_secret_value().encode()
        self._business_id = options.business_id
        self._forms = Forms()

    def verify(self, push: Push) -> None:
        form = self._forms.read(push.raw)
        sign = given({"DataSign": form.get("DataSign", b"").decode("utf-8", "replace")}, "DataSign")
        same(self._signature(form.get("RequestData", b"")), sign)

    def _signature(self, data: bytes) -> str:
        return base64.b64encode(md5_hex(data + self._key).encode()).decode()

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        form = {"RequestData": body, "RequestType": "102", "DataSign": self._signature(body)}
        return Push(urlencode(form).encode(), {**FORM, **headers}, query, received_at)

    def reply(self, outcome: Outcome, push: Push) -> Answer:
        taken = outcome in {Outcome.ACCEPTED, Outcome.MALFORMED}  # what nobody can read would not get better
        reason = {Outcome.REJECTED: "签名错误", Outcome.BUSY: "稍后重试"}.get(outcome, "")
        status = {Outcome.REJECTED: 401, Outcome.BUSY: 503}.get(outcome, 200)
        answer = {
            "EBusinessID": self._business_id,
            "UpdateTime": local_text(push.received_at, CHINA),
            "Success": taken,
            "Reason": reason,
        }
        return Answer(status, msgspec.json.encode(answer))

    def parse(self, push: Push) -> Parsed:
        data = decode_json(self._forms.read(push.raw).get("RequestData", b""))
        drafts = Drafts(self.name, self.places, push)
        for parcel in list_of(data.get("Data")) or [data]:
            self.read(dict_of(parcel), drafts)
        return drafts.parsed

    def read(self, parcel: Mapping[str, Any], drafts: Drafts) -> None:
        """One parcel; the answer of the query interface has the same shape."""
        carrier = text_of(parcel.get("ShipperCode"))
        state = text_of(parcel.get("StateEx")) or text_of(parcel.get("State")) or ""
        about = {
            "number": text_of(parcel.get("LogisticCode")),
            "carrier": CARRIERS.get(carrier, carrier.lower()) if carrier else None,
            "order_id": text_of(parcel.get("OrderCode")),
        }
        lines = list_of(parcel.get("Traces"))
        newest = max(lines, key=lambda line: str(dict_of(line).get("AcceptTime")), default=None)
        for line in lines:
            self._scan(dict_of(line), drafts, about, state if line is newest else "")

    def _scan(self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any], state: str) -> None:
        context = text_of(line.get("AcceptStation"), 1000) or ""
        own = text_of(line.get("Action")) or ""
        raw = own or state
        code = CODES.get(raw) if raw else chinese.stage(context) or Code("unknown")
        if raw in IN_TRANSIT:
            code = chinese.movement(context) or code
        facility, location = chinese.facility(context), text_of(line.get("Location"))
        drafts.scan(
            line,
            at=text_of(line.get("AcceptTime")),
            zone=CHINA,
            code=code,
            raw_code=raw,
            own_code=own,
            key=(context,),
            facility=facility or location,
            region=drafts.find(location, facility),
            courier_id=chinese.courier(context, self._key) if raw in SENDING else None,
            **about,
        )
