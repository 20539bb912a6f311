from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import OPS, ChannelCase, InBody
from tests.fakes.server import Request, Response

KEY = "693a91f6"


def code(number: int) -> Response:
    return Response.of({"errcode": number, "errmsg": "..."})


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.path != "/cgi-bin/webhook/send" or request.query.get("key") != KEY:
            return code(93000)
        value = request.json()
        if value["msgtype"] == "image":
            image = base64.b64decode(value["image"]["base64"])
            if hashlib.md5(image, usedforsecurity=False).hexdigest() != value["image"]["md5"]:
                return code(301019)
            return code(0 if image.startswith(b"\x89PNG") else 301020)
        if len(value["markdown"]["content"].encode()) > 4096:
            return code(45002)
        assert "<@all>" not in value["markdown"]["content"]
        return code(0)


CASE = ChannelCase(
    options=lambda url: {"key": KEY, "api_url": url},
    fake=Fake,
    secrets=(KEY,),
    faults=(
        InBody("too fast", code(45009), Answer.RETRY, Cause.RATE, 60.0),
        InBody("bad key", code(93000), Answer.RETRY, Cause.AUTH),
        InBody("too long", code(45002), Answer.PERMANENT, Cause.TOO_LARGE),
    ),
    extra={"picture": replace(OPS, image=b"\x89PNG\r\n\x1a\npicture", mention=("zhang",))},
)
