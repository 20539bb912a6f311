"""Kuaidi100's query interface: one parcel a request, and the same parcel at most every 30 minutes, or it is locked.

The answer is the `lastResult` of a push, so it is read as one. Some carriers' parcels are told of only to who knows the last
digits of their sender's or receiver's phone number. That is personal data, which is kept for writing to the customer: these
carriers are left out, unless the shop says that Kuaidi100 may have the digits (`phones`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from pydantic import Field, SecretStr

from monitor.feeds.base import Feed
from monitor.feeds.canonical import text_of
from monitor.feeds.kuaidi100.codes import CARRIERS
from monitor.feeds.pollers.base import (
    MOST_ANSWER_BYTES,
    Answered,
    Limits,
    PhoneOf,
    Trouble,
    carriers_of,
    trouble_of,
)
from monitor.feeds.signing import md5_hex
from monitor.feeds.watch import Quiet
from notifier.http import Http
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import SendResult

# Source: the error codes of the query interface. 400 is a wrong question or no right to ask, and does not say which;
# 408 is about the parcel, 500 is "nothing found".
DOUBTFUL = "400"
ABOUT_THE_PARCEL = frozenset({DOUBTFUL, "408", "500"})
NO_RIGHT = frozenset({"503", "600", "601"})  # wrong signature, no customer, no credit left
MOST_DOUBTFUL = 5  # in a row, and nothing else: the right is missing, not that of so many parcels
# Source: the parameter `phone` of the query interface, 必填 for these.
ONLY_WITH_PHONE = frozenset({"shunfeng", "shunfengkuaiyun", "zhongtong"})
LAST_DIGITS = 4  # are what these carriers check, also of a number that stands in for the real one
DIGITS = re.compile(r"\D")


class Kuaidi100QueryOptions(Options):
    feed: str = Field("kuaidi100", description="the feed whose lost pushes this makes up for")
    customer: str = Field(min_length=1)
    key: Secret
    per_second: float = Field(1.0, gt=0)
    phones: bool = Field(
        default=False,
        description="name the last four digits of the customer's phone, for carriers that ask for them",
    )
    url: SecretUrl = SecretStr("https://poll.kuaidi100.com/poll/query.do")


class Kuaidi100Query:
    Options = Kuaidi100QueryOptions

    def __init__(
        self, name: str, options: Kuaidi100QueryOptions, feed: Feed, http: Http, phone_of: PhoneOf
    ) -> None:
        self.name = name
        self.feed = feed
        without = frozenset({CARRIERS.get(one, one) for one in ONLY_WITH_PHONE} | ONLY_WITH_PHONE)
        self.limits = Limits(options.per_second, without=frozenset() if options.phones else without)
        self._phone_of = phone_of
        self._options = options
        self._http = http
        self._carriers = carriers_of(CARRIERS)
        self._doubtful = 0

    async def ask(self, parcels: Sequence[Quiet], now: int) -> Answered:
        (parcel,) = parcels
        carrier = self._carriers.get(parcel.carrier, parcel.carrier)
        question = {"com": carrier, "num": parcel.tracking_number, "resultv2": "4"}
        if carrier in ONLY_WITH_PHONE:
            digits = DIGITS.sub("", await self._phone_of(parcel.tracking_number) or "")
            if len(digits) < LAST_DIGITS:  # nothing would be answered
                return Answered(unasked=[parcel.tracking_number])
            question["phone"] = digits[-LAST_DIGITS:]
        param = msgspec.json.encode(question)
        key, customer = self._options.key.get_secret_value(), self._options.customer
        sign = md5_hex(param + key.encode() + customer.encode()).upper()
        reply = await self._http.request(
            "POST",
            self._options.url.get_secret_value(),
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"customer": customer, "sign": sign, "param": param}).encode(),
            max_reply_bytes=MOST_ANSWER_BYTES,
        )
        if isinstance(reply, SendResult) or not reply.ok or reply.cut:
            return trouble_of(reply, now)
        result = reply.object()
        if result.get("result") is False or not isinstance(result.get("data"), list):
            return self._refusal(text_of(result.get("returnCode")) or "", parcel)
        self._doubtful = 0
        body = msgspec.json.encode({"status": "polling", "lastResult": result})
        return Answered(pushes=[self.feed.sign(body, now)])

    def _refusal(self, code: str, parcel: Quiet) -> Answered:
        self._doubtful = self._doubtful + 1 if code == DOUBTFUL else 0
        if code in ABOUT_THE_PARCEL:
            trouble = Trouble.AUTH if self._doubtful >= MOST_DOUBTFUL else None
            return Answered(refused=[parcel.tracking_number], trouble=trouble)
        return Answered(trouble=Trouble.AUTH if code in NO_RIGHT else Trouble.REFUSED)
