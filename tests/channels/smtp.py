from __future__ import annotations

from tests.channels.case import ChannelCase
from tests.fakes.server import Request, Response


def no_http(_request: Request) -> Response:
    raise AssertionError("mail does not go over HTTP")


CASE = ChannelCase(
    options=lambda _url: {
        "host": "127.0.0.1",
        "port": 25,
        "sender": "forestall@shop.example",
        "to": ["ops@shop.example"],
        "username": "u",
        "password": "pa55",
    },
    fake=lambda: no_http,
    secrets=("pa55",),
    http=False,
)
