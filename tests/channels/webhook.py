from __future__ import annotations

from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import NOW, OPS, PICTURE_URL, ChannelCase, InBody
from tests.fakes.server import Request, Response
from tests.fakes.signed import refuse_unsigned

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Fake:
    """Drops what it has seen, by webhook-id, as the specification asks of receivers."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Response:
        if refused := refuse_unsigned(request, SECRET, NOW):
            return refused
        self.seen.setdefault(request.headers["webhook-id"], request.body)
        return Response.of({"id": "m-" + request.headers["webhook-id"]}, 202)


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/hooks/t0ken", "secret": SECRET},
    fake=Fake,
    secrets=(SECRET, "t0ken", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    faults=(InBody("gone for good", Response(410), Answer.PERMANENT, Cause.REJECTED),),
    audience="both",
    extra={"picture": replace(OPS, image_url=PICTURE_URL)},
)
