from __future__ import annotations

from typing import Any

from notifier.sending import Answer, Cause
from tests.channels.case import OPENID, ChannelCase, InBody
from tests.fakes.server import Request, Response

APP, SECRET, TOKEN = "wx0123456789abcdef", "we5ecret", "t0ken-of-two-hours"
TEMPLATE = "tmpl-0123456789"


class Fake:
    def __call__(self, request: Request) -> Response:
        asked: dict[str, Any] = request.json()
        if request.path == "/cgi-bin/stable_token":
            if (asked["appid"], asked["secret"]) != (APP, SECRET):
                return said(40125)
            return Response.of({"access_token": TOKEN, "expires_in": 7200})
        if request.query.get("access_token") != TOKEN:
            return said(40001)
        if asked["touser"] != OPENID:
            return said(40003)
        if asked["template_id"] != TEMPLATE:
            return said(40037)
        if any(len(field["value"]) > 20 for name, field in asked["data"].items() if name.startswith("thing")):
            return said(47003)
        return Response.of({"errcode": 0, "errmsg": "ok", "msgid": 41})


def said(code: int) -> Response:
    return Response.of({"errcode": code, "errmsg": f"no {OPENID}"})


CASE = ChannelCase(
    options=lambda url: {
        "url": url,
        "app_id": APP,
        "secret": SECRET,
        "templates": {
            "late_coupon": {
                "id": TEMPLATE,
                "fields": {"thing1": "title", "amount2": "amount", "character_string3": "coupon_code"},
                "page": "pages/order",
            }
        },
    },
    fake=Fake,
    secrets=(SECRET, TOKEN),
    faults=(
        InBody("refused or used up", said(43101), Answer.PERMANENT, Cause.NO_CONSENT),
        InBody("no such user", said(40003), Answer.PERMANENT, Cause.NO_CONTACT),
        InBody("wrong template", said(40037), Answer.PERMANENT, Cause.REJECTED),
        InBody("bad data", said(47003), Answer.PERMANENT, Cause.REJECTED),
        InBody("token ended", said(42001), Answer.RETRY, Cause.AUTH),
        InBody("too often", said(45009), Answer.RETRY, Cause.RATE),
        InBody("busy", said(-1), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody("nothing said", Response(200, b"{}"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    audience="customer",
    warm=True,
)
