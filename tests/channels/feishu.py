from __future__ import annotations

import base64
import hashlib
import hmac

from notifier.sending import Answer, Cause
from tests.channels.case import NOW, ChannelCase, InBody
from tests.fakes.server import Request, Response

SECRET = "fe1shu-secret"


def code(number: int) -> Response:
    return Response.of({"code": number, "msg": "...", "data": {}})


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.path != "/open-apis/bot/v2/hook/h00k":
            return code(19001)
        value = request.json()
        key = f"{value.get('timestamp')}\n{SECRET}".encode()
        if value.get("sign") != base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode():
            return code(19021)
        if abs(int(value["timestamp"]) - NOW // 1000) > 3600:
            return code(19021)
        if len(request.body) > 20 * 1024:
            return code(19036)
        if value["msg_type"] != "interactive" or "<at id=all>" in request.body.decode():
            return code(9499)
        return code(0)


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/open-apis/bot/v2/hook/h00k", "secret": SECRET},
    fake=Fake,
    secrets=(SECRET, "h00k"),
    faults=(
        InBody("crowded at the full hour", code(11232), Answer.RETRY, Cause.RATE),
        InBody("signature", code(19021), Answer.RETRY, Cause.AUTH),
        InBody("too large", code(19036), Answer.PERMANENT, Cause.TOO_LARGE),
        InBody("bad body", code(9499), Answer.PERMANENT, Cause.REJECTED),
        InBody(
            "the old form of refusal",
            Response.of({"StatusCode": 19024, "StatusMessage": "..."}),
            Answer.PERMANENT,
            Cause.REJECTED,
        ),
    ),
)
