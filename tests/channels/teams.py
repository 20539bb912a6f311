from __future__ import annotations

from tests.channels.case import ChannelCase
from tests.fakes.server import Request, Response


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.query.get("sig") != "s1g":
            return Response(401)
        if len(request.body) > 28_000:
            return Response(413)
        value = request.json()
        card = value["attachments"][0]["content"]
        if value["type"] != "message" or card["type"] != "AdaptiveCard" or card["version"] != "1.4":
            return Response(400)
        return Response(202)


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=s1g"},
    fake=Fake,
    secrets=("s1g",),
)
