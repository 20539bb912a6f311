from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, NOW, OPS, PNG, ChannelCase, InBody
from tests.fakes.server import Request, Response

SECRET, APP_SECRET, TOKEN = "fe1shu-secret", "app-s3cret", "t-7f1b"


def code(number: int, status: int = 200, text: str = "...") -> Response:
    return Response.of({"code": number, "msg": text, "data": {}}, status)


class Fake:
    """A tenant: the bot's hook, and an app that may upload pictures."""

    def __call__(self, request: Request) -> Response:
        if request.path == "/open-apis/auth/v3/tenant_access_token/internal":
            if request.json() != {"app_id": "cli_1", "app_secret": APP_SECRET}:
                return Response.of({"code": 10003, "msg": "invalid param"})
            return Response.of({"code": 0, "tenant_access_token": TOKEN, "expire": 7200})
        if request.path == "/open-apis/im/v1/images":
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Response.of({"code": 99991663, "msg": "token"}, 400)
            assert b'name="image_type"\r\n\r\nmessage\r\n' in request.body
            return Response.of(
                {"code": 0, "data": {"image_key": "img_v3_42"}} if PNG in request.body else {"code": 234011}
            )
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
        called = re.findall(r"<at id=(.*?)>", request.body.decode())
        if value["msg_type"] != "interactive" or any(not one.startswith("ou_") for one in called):
            return code(9499)
        pictures = [one["img_key"] for one in value["card"]["elements"] if one["tag"] == "img"]
        if any(picture != "img_v3_42" for picture in pictures):
            return code(11246)
        return code(0)


CASE = ChannelCase(
    options=lambda url: {
        "url": f"{url}/open-apis/bot/v2/hook/h00k",
        "secret": SECRET,
        "app_id": "cli_1",
        "app_secret": APP_SECRET,
    },
    fake=Fake,
    secrets=(SECRET, "h00k", APP_SECRET, TOKEN),
    faults=(
        InBody("crowded at the full hour", code(11232), Answer.RETRY, Cause.RATE),
        InBody("signature", code(19021), Answer.RETRY, Cause.AUTH),
        InBody("too large", code(19036), Answer.PERMANENT, Cause.TOO_LARGE),
        InBody("bad body", code(9499), Answer.PERMANENT, Cause.REJECTED),
        InBody("too fast", code(9499, 400, "too many request"), Answer.RETRY, Cause.RATE),
        InBody("crowded, with a status", code(11232, 400), Answer.RETRY, Cause.RATE),
        InBody("signature, with a status", code(19021, 400), Answer.RETRY, Cause.AUTH),
        InBody(
            "the old form of refusal",
            Response.of({"StatusCode": 19024, "StatusMessage": "..."}),
            Answer.PERMANENT,
            Cause.REJECTED,
        ),
    ),
    extra={
        "picture": replace(OPS, image=PNG),
        "mention": replace(OPS, mention=(*CALLED, "ou_7d8a6e6df7621556ce0d21922b676706")),
    },
)
