from __future__ import annotations

from tests.channels.case import ChannelCase
from tests.fakes.server import Request, Response


def _nobody(request: Request) -> Response:
    raise AssertionError("the console speaks to no server")


CASE = ChannelCase(options=lambda _: {}, fake=lambda: _nobody, secrets=(), audience="both", http=False)
