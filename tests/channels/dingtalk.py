from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import NOW, OPS, PICTURE_URL, ChannelCase, InBody
from tests.fakes.server import Request, Response

TOKEN, SECRET = "0a1b2c", "SECd1ng"


def code(number: int) -> Response:
    return Response.of({"errcode": number, "errmsg": "..."})


class Fake:
    """Refuses the 21st message within a minute and then everything, as the robot's ten minutes of silence."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, request: Request) -> Response:
        query = request.query
        if query.get("access_token") != TOKEN or request.path != "/robot/send":
            return code(300001)
        expected = hmac.new(
            SECRET.encode(), f"{query.get('timestamp')}\n{SECRET}".encode(), hashlib.sha256
        ).digest()
        if base64.b64decode(query.get("sign", "")) != expected:
            return code(310000)
        if abs(int(query["timestamp"]) - NOW) > 3_600_000:
            return code(310000)
        if len(request.body) > 20_000:
            return code(460101)
        value = request.json()
        text = value[value["msgtype"]]["text"]
        if "预警" not in text + value[value["msgtype"]]["title"]:
            return code(310000)
        self.count += 1
        return code(130101 if self.count > 20 else 0)


CASE = ChannelCase(
    options=lambda url: {"access_token": TOKEN, "secret": SECRET, "keyword": "预警", "api_url": url},
    fake=Fake,
    secrets=(TOKEN, SECRET),
    faults=(
        InBody("too fast", code(130101), Answer.RETRY, Cause.RATE, 600.0),
        InBody("too fast, the other code", code(410100), Answer.RETRY, Cause.RATE, 600.0),
        InBody("no such token", code(400101), Answer.RETRY, Cause.AUTH),
        InBody("the robot was stopped", code(400102), Answer.RETRY, Cause.AUTH),
        InBody("signature", code(310000), Answer.RETRY, Cause.AUTH),
        InBody("too long", code(460101), Answer.PERMANENT, Cause.TOO_LARGE),
        InBody("busy", code(-1), Answer.RETRY, Cause.SERVER),
        InBody("unknown code", code(777), Answer.PERMANENT, Cause.REJECTED),
        InBody("no code", Response.of({}), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    extra={
        "mention": replace(OPS, mention=("13900000000", "zhang")),
        "picture": replace(OPS, image_url=PICTURE_URL),
    },
)
