from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, OPS, ChannelCase, InBody
from tests.fakes.server import Request, Response


def payload(request: Request) -> Any:
    kind = request.headers["content-type"]
    if not kind.startswith("multipart/form-data"):
        return request.json()
    boundary = kind.partition("boundary=")[2].encode()
    parts = request.body.split(b"--" + boundary)
    found = re.search(rb'name="payload_json".*?\r\n\r\n(.*)\r\n', parts[1], re.DOTALL)
    assert found is not None
    assert b'name="files[0]"; filename="chart.png"' in parts[2]
    assert parts[3] == b"--\r\n"
    return json.loads(found[1])


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.path != "/api/webhooks/1/t0ken" or request.query.get("wait") != "true":
            return Response(404)
        value = payload(request)
        (embed,) = value["embeds"]
        total = len(embed["title"]) + len(embed["description"])
        total += sum(len(field["name"]) + len(field["value"]) for field in embed["fields"])
        if len(embed["title"]) > 256 or len(embed["description"]) > 4096 or total > 6000:
            return Response.of({"embeds": ["0"]}, 400)
        if any(not field["name"] or not field["value"] for field in embed["fields"]):
            return Response.of({"embeds": ["0"]}, 400)
        allowed = value["allowed_mentions"]
        assert allowed["parse"] == []
        assert set(re.findall(r"<@(\d+)>", value["content"])) == set(allowed.get("users", ()))
        return Response.of({"id": "9001"})


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/api/webhooks/1/t0ken"},
    fake=Fake,
    secrets=("t0ken",),
    faults=(
        InBody("too fast", Response.of({"retry_after": 1.5}, 429), Answer.RETRY, Cause.RATE, 1.5),
        InBody("200 of a proxy", Response(200, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    extra={
        "mention": replace(OPS, mention=CALLED),
        "picture": replace(OPS, image=b"\x89PNG\r\n\x1a\npicture"),
    },
)
