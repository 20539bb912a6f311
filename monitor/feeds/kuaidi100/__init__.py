"""Kuaidi100's subscription push: a form of `param` (JSON text) and `sign`, the whole history each time, newest first.

Times are Beijing time without a zone. `status` "abort" means that Kuaidi100 has stopped watching the parcel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from config.regions import Regions
from monitor.feeds import chinese
from monitor.feeds.base import NOTHING, Answer, Base, Outcome, Parsed, Push, decode_json
from monitor.feeds.canonical import Code, Drafts, dict_of, list_of, text_of
from monitor.feeds.forms import FORM, Forms
from monitor.feeds.kuaidi100.codes import CARRIERS, CODES, HELD_BY_OTHERS, IN_TRANSIT, NAMES
from monitor.feeds.options import SignedOptions
from monitor.feeds.signing import given, md5_hex, same
from monitor.feeds.zones import CHINA

SIGNED = frozenset({"3", "301", "302", "303", "304"})
SENDING = frozenset({"5", "501"}) | SIGNED


class Kuaidi100(Base):
    kind = "kuaidi100"
    Options = SignedOptions

    def __init__(self, name: str, options: SignedOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._salt = options.secret.get_secret_value().encode()
        self._forms = Forms()

    def verify(self, push: Push) -> None:
        form = self._forms.read(push.raw)
        sign = given({"sign": form.get("sign", b"").decode("utf-8", "replace")}, "sign")
        same(md5_hex(form.get("param", b"") + self._salt), sign.lower())

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        form = {"sign": md5_hex(body + self._salt).upper(), "param": body}
        return Push(urlencode(form).encode(), {**FORM, **headers}, query, received_at)

    def reply(self, outcome: Outcome, push: Push) -> Answer:  # noqa: ARG002 - it never depends on it
        """Anything but `result: true` is pushed again 30 minutes later, so also a push that nobody can read is
        acknowledged: it is among the dead letters, and would not get better.
        """
        if outcome in {Outcome.ACCEPTED, Outcome.MALFORMED}:
            return Answer(200, '{"result":true,"returnCode":"200","message":"成功"}'.encode())
        if outcome is Outcome.REJECTED:
            return Answer(401, '{"result":false,"returnCode":"401","message":"签名错误"}'.encode())
        return Answer(503, '{"result":false,"returnCode":"500","message":"稍后重试"}'.encode())

    def parse(self, push: Push) -> Parsed:
        param = decode_json(self._forms.read(push.raw).get("param", b""))
        drafts = Drafts(self.name, self.places, push)
        order_id = text_of(push.query.get("orderId") or push.query.get("order_id"))
        for field in ("lastResult", "destResult"):  # the second: the leg after the border
            self.read(dict_of(param.get(field)), drafts, order_id)
        number = text_of(dict_of(param.get("lastResult")).get("nu"))
        if number and text_of(param.get("status")) in {"abort", "shutdown"}:
            drafts.parsed.unwatched.append(number)
        return drafts.parsed

    def read(self, result: Mapping[str, Any], drafts: Drafts, order_id: str | None) -> None:
        """One result; the answer of the query interface has the same shape."""
        carrier = text_of(result.get("com"))
        state = text_of(result.get("state")) or ""
        about = {
            "number": text_of(result.get("nu")),
            "carrier": CARRIERS.get(carrier, carrier) if carrier else None,
            "order_id": order_id,
        }
        for row, line in enumerate(list_of(result.get("data"))):
            self._scan(dict_of(line), drafts, about, state if row == 0 else "")

    def _scan(self, line: Mapping[str, Any], drafts: Drafts, about: dict[str, Any], state: str) -> None:
        context = text_of(line.get("context"), 1000) or ""
        written = text_of(line.get("status")) or ""
        own = text_of(line.get("statusCode")) or written
        raw = own or state
        digits = NAMES.get(raw, raw)
        code = CODES.get(digits) if raw else chinese.stage(context) or Code("unknown")
        if digits in IN_TRANSIT:
            code = chinese.movement(context) or code
        if code and digits in HELD_BY_OTHERS and code.status == "delivered":
            collected = chinese.stage(context) == Code("collected")
            code = Code("collected" if collected else "delivered", chinese.holder(context))
        facility, location = chinese.facility(context), text_of(line.get("location"))
        drafts.scan(
            line,
            at=text_of(line.get("ftime")) or text_of(line.get("time")),
            zone=CHINA,
            code=code,
            raw_code=raw,
            own_code=own,
            key=(context,),
            facility=facility or location,
            region=drafts.find(
                text_of(line.get("areaCode")), text_of(line.get("areaName")), location, facility
            ),
            courier_id=chinese.courier(context, self._salt) if digits in SENDING else None,
            **about,
        )
