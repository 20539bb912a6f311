from __future__ import annotations

from dataclasses import replace

from notifier.sending import Answer, Cause
from tests.channels.case import OPS, ChannelCase, InBody
from tests.channels.slack import block_fault, mentions
from tests.fakes.server import Request, Response


class Fake:
    def __init__(self) -> None:
        self.posted: list[str] = []

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer xoxb-t0ken":
            return Response.of({"ok": False, "error": "invalid_auth"})
        value = request.json()
        if fault := block_fault(value["blocks"]):
            return Response.of({"ok": False, "error": fault})
        assert not mentions(value)
        if value["channel"] != "C1":
            return Response.of({"ok": False, "error": "channel_not_found"})
        if request.path == "/api/chat.update":
            return Response.of({"ok": True, "ts": value["ts"]})
        if "thread_ts" in value and value["thread_ts"] not in self.posted:
            return Response.of({"ok": False, "error": "thread_not_found"})
        self.posted.append(f"1795334400.{len(self.posted):06d}")
        return Response.of({"ok": True, "ts": self.posted[-1], "channel": "C1"})


def error(name: str) -> Response:
    return Response.of({"ok": False, "error": name})


CASE = ChannelCase(
    options=lambda url: {"token": "xoxb-t0ken", "channel": "C1", "api_url": f"{url}/api"},
    fake=Fake,
    secrets=("xoxb-t0ken",),
    faults=(
        InBody("200 but not ok", error("channel_not_found"), Answer.PERMANENT, Cause.REJECTED),
        InBody("too fast", error("ratelimited"), Answer.RETRY, Cause.RATE),
        InBody("revoked", error("token_revoked"), Answer.RETRY, Cause.AUTH),
        InBody("too long", error("msg_blocks_too_long"), Answer.PERMANENT, Cause.TOO_LARGE),
        InBody("broken inside", error("internal_error"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody("not an answer", Response(200, b"ok"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    extra={"update": replace(OPS, update_of="1795334400.000001")},
)
