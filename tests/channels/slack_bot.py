from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, OPS, PNG, ChannelCase, InBody
from tests.channels.slack import block_fault, mentions
from tests.fakes.server import Request, Response


class Fake:
    """A workspace: posts with their threads, edits of what exists, and the three steps of an upload."""

    def __init__(self) -> None:
        self.posted: list[str] = ["1795334400.000000"]
        self.promised: dict[str, int] = {}
        self.uploaded: set[str] = set()
        self.shown: list[str] = []  # the thread in which each file is

    def __call__(self, request: Request) -> Response:
        if request.path.startswith("/upload/"):
            file = request.path.removeprefix("/upload/")
            if self.promised.get(file) != len(request.body):
                return Response(400)
            self.uploaded.add(file)
            return Response(200, b"OK - 15")
        if request.headers.get("authorization") != "Bearer xoxb-t0ken":
            return Response.of({"ok": False, "error": "invalid_auth"})
        if request.path == "/api/files.getUploadURLExternal":
            return self._promise(request)
        value = request.json()
        if request.path == "/api/files.completeUploadExternal":
            if {one["id"] for one in value["files"]} - self.uploaded or value["channel_id"] != "C1":
                return error("file_not_found")
            self.shown.append(value["thread_ts"])
            return Response.of({"ok": True, "files": value["files"]})
        if fault := block_fault(value["blocks"]):
            return error(fault)
        assert not mentions(value)
        if value["channel"] != "C1":
            return error("channel_not_found")
        if request.path == "/api/chat.update":
            known = value["ts"] in self.posted
            return Response.of({"ok": True, "ts": value["ts"]}) if known else error("message_not_found")
        if "thread_ts" in value and value["thread_ts"] not in self.posted:
            return error("thread_not_found")
        self.posted.append(f"1795334400.{len(self.posted):06d}")
        return Response.of({"ok": True, "ts": self.posted[-1], "channel": "C1"})

    def _promise(self, request: Request) -> Response:
        asked = parse_qs(request.body.decode())
        if set(asked) != {"filename", "length"}:
            return error("invalid_arguments")
        file = f"F{len(self.promised)}"
        self.promised[file] = int(asked["length"][0])
        url = f"http://{request.headers['host']}/upload/{file}"
        return Response.of({"ok": True, "upload_url": url, "file_id": file})


def error(name: str) -> Response:
    return Response.of({"ok": False, "error": name})


PARENT = "1795334400.000000"
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
    extra={
        "update": replace(OPS, update_of=PARENT),
        "update_of_what_is_gone": replace(OPS, update_of="1795334400.999999"),
        "reply": replace(OPS, reply_to=PARENT, tell="thread"),
        "reply_to_the_channel": replace(OPS, reply_to=PARENT, tell="channel", mention=CALLED),
        "picture": replace(OPS, image=PNG),
    },
)
