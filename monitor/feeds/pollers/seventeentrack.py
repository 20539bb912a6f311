"""17TRACK's gettrackinfo: up to 40 parcels a request, three requests a second.

What it accepts has the shape of a push's `data`, so it is read as one. Where so many parcels have too long histories for
one answer, half as many are asked about from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from pydantic import Field, SecretStr

from monitor.feeds.base import Feed
from monitor.feeds.canonical import dict_of, list_of, text_of
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES, Answered, Limits, Trouble, trouble_of
from monitor.feeds.watch import Quiet
from notifier.http import Http
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import SendResult


class SeventeenTrackQueryOptions(Options):
    feed: str = Field("17track", description="the feed whose lost pushes this makes up for")
    key: Secret
    per_second: float = Field(3.0, gt=0, le=3)
    url: SecretUrl = SecretStr("https://api.17track.net/track/v2.2/gettrackinfo")


class SeventeenTrackQuery:
    Options = SeventeenTrackQueryOptions

    def __init__(self, name: str, options: SeventeenTrackQueryOptions, feed: Feed, http: Http) -> None:
        self.name = name
        self.feed = feed
        self.limits = Limits(options.per_second, batch=40)
        self._options = options
        self._http = http

    async def ask(self, parcels: Sequence[Quiet], now: int) -> Answered:
        reply = await self._http.post_json(
            self._options.url.get_secret_value(),
            [{"number": parcel.tracking_number} for parcel in parcels],
            headers={"17token": self._options.key.get_secret_value()},
            max_reply_bytes=MOST_ANSWER_BYTES,
        )
        if isinstance(reply, SendResult) or not reply.ok or reply.cut:
            troubled = trouble_of(reply, now)
            if troubled.trouble is Trouble.TOO_LARGE and len(parcels) > 1:  # next time half as many
                self.limits = replace(self.limits, batch=(len(parcels) + 1) // 2)
            return troubled
        answer = reply.object()
        if answer.get("code") != 0:
            return Answered(trouble=Trouble.REFUSED)
        data = dict_of(answer.get("data"))
        bodies = [
            msgspec.json.encode({"event": "TRACKING_UPDATED", "data": one})
            for one in list_of(data.get("accepted"))
        ]
        refused = [text_of(dict_of(one).get("number")) for one in list_of(data.get("rejected"))]
        return Answered(
            pushes=[self.feed.sign(body, now) for body in bodies],
            refused=[number for number in refused if number],
        )
