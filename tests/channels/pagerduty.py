from __future__ import annotations

from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import OPS, PICTURE_URL, ChannelCase, InBody
from tests.fakes.server import Request, Response

KEY = "0123456789abcdef0123456789abcdef"


class Fake:
    def __call__(self, request: Request) -> Response:
        value = request.json()
        if len(request.body) > 512_000:
            return Response(413)
        wrong = (
            request.path != "/v2/enqueue"
            or value["routing_key"] != KEY
            or value["event_action"] not in {"trigger", "acknowledge", "resolve"}
            or not 0 < len(value["dedup_key"]) <= 255
        )
        if value["event_action"] == "trigger":
            payload = value["payload"]
            wrong |= not 0 < len(payload["summary"]) <= 1024 or not payload["source"]
            wrong |= any(not one["src"].startswith("https://") for one in value.get("images", ()))
            wrong |= payload["severity"] not in {"critical", "error", "warning", "info"}
        if wrong:
            return Response.of({"status": "invalid event"}, 400)
        return Response.of({"status": "success", "dedup_key": value["dedup_key"]}, 202)


CASE = ChannelCase(
    options=lambda url: {"routing_key": KEY, "api_url": url},
    fake=Fake,
    secrets=(KEY,),
    faults=(
        InBody("invalid", Response.of({"status": "invalid event"}, 400), Answer.PERMANENT, Cause.REJECTED),
        InBody("202 of a proxy", Response(202, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    extra={
        "picture": replace(OPS, image_url=PICTURE_URL),
        "acknowledged": replace(OPS, variables={"reason": "acknowledged"}),
    },
)
