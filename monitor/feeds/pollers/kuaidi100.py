"""Kuaidi100's query interface: one parcel a request, and the same parcel at most every 30 minutes, or it is locked.

The answer is the `lastResult` of a push, so it is read as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from pydantic import Field

from monitor.feeds.base import Feed
from monitor.feeds.canonical import text_of
from monitor.feeds.kuaidi100.codes import CARRIERS
from monitor.feeds.pollers.base import (
    MOST_ANSWER_BYTES,
    Answered,
    Limits,
    Trouble,
    carriers_of,
    trouble_of,
)
from monitor.feeds.signing import md5_hex
from monitor.feeds.watch import Quiet
from notifier.http import Http
from notifier.options import Options, Secret
from notifier.sending import SendResult

# Source: the error codes of the query interface. 400 and 408 are about the parcel, 500 is "nothing found".
ABOUT_THE_PARCEL = frozenset({"400", "408", "500"})
TOO_OFTEN = frozenset({"503", "601"})  # wrong signature, and no credit left


class Kuaidi100QueryOptions(Options):
    feed: str = Field("kuaidi100", description="the feed whose lost pushes this makes up for")
    customer: str = Field(min_length=1)
    key: Secret
    per_second: float = Field(1.0, gt=0)
    url: str = "https://poll.kuaidi100.com/poll/query.do"


class Kuaidi100Query:
    Options = Kuaidi100QueryOptions

    def __init__(self, name: str, options: Kuaidi100QueryOptions, feed: Feed, http: Http) -> None:
        self.name = name
        self.feed = feed
        self.limits = Limits(options.per_second)
        self._options = options
        self._http = http
        self._carriers = carriers_of(CARRIERS)

    async def ask(self, parcels: Sequence[Quiet], now: int) -> Answered:
        (parcel,) = parcels
        question = {
            "com": self._carriers.get(parcel.carrier, parcel.carrier),
            "num": parcel.tracking_number,
            "resultv2": "4",
        }
        param = msgspec.json.encode(question)
        key, customer = self._options.key.get_secret_value(), self._options.customer
        sign = md5_hex(param + key.encode() + customer.encode()).upper()
        reply = await self._http.request(
            "POST",
            self._options.url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"customer": customer, "sign": sign, "param": param}).encode(),
            max_reply_bytes=MOST_ANSWER_BYTES,
        )
        if isinstance(reply, SendResult) or not reply.ok or reply.cut:
            return trouble_of(reply, now)
        result = reply.object()
        if result.get("result") is False or not isinstance(result.get("data"), list):
            return self._refusal(text_of(result.get("returnCode")) or "", parcel)
        body = msgspec.json.encode({"status": "polling", "lastResult": result})
        return Answered(pushes=[self.feed.sign(body, now)])

    @staticmethod
    def _refusal(code: str, parcel: Quiet) -> Answered:
        if code in ABOUT_THE_PARCEL:
            return Answered(refused=[parcel.tracking_number])
        return Answered(trouble=Trouble.AUTH if code in TOO_OFTEN else Trouble.REFUSED)
