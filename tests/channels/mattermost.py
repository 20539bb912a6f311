from __future__ import annotations

from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, OPS, PICTURE_URL, ChannelCase, InBody
from tests.fakes.server import Request, Response


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.path != "/hooks/k3y":
            return Response.of({"id": "web.incoming_webhook.invalid"}, 400)
        if len(request.json()["text"]) > 16_383:
            return Response.of({"id": "api.post.create_post.too_long"}, 400)
        assert "@all" not in request.json()["text"]
        pictures = [one["image_url"] for one in request.json().get("attachments", ())]
        assert all(url.startswith("https://") for url in pictures)
        return Response(200, b"ok")


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/hooks/k3y", "channel": "ops", "username": "forestall"},
    fake=Fake,
    secrets=("k3y",),
    faults=(InBody("200 of a proxy", Response(200, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),),
    extra={
        "mention": replace(OPS, mention=CALLED),
        "picture": replace(OPS, image_url=PICTURE_URL),
    },
)
