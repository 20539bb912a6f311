from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from tests.channels.case import OPS, PICTURE_URL, ChannelCase
from tests.fakes.server import Request, Response


class Fake:
    """The checks of version 0.25; the real one is asked in `tests/test_alertmanager.py`."""

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer b3arer":
            return Response(401)
        if request.path != "/api/v2/alerts":
            return Response(404)
        for alert in request.json():
            names = [*alert["labels"], *alert["annotations"]]
            if not alert["labels"] or any(not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in names):
                return Response(400, b'{"code":400,"message":"invalid label set"}')
            if datetime.fromisoformat(alert["endsAt"]) < datetime.fromisoformat(alert["startsAt"]):
                return Response(400, b'{"code":400,"message":"start time must be before end time"}')
        return Response(200)


CASE = ChannelCase(
    options=lambda url: {"url": url, "bearer": "b3arer", "labels": {"shop": "demo"}},
    fake=Fake,
    secrets=("b3arer",),
    extra={"picture": replace(OPS, image_url=PICTURE_URL)},
)
