from __future__ import annotations

from dataclasses import replace
from typing import Any

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, OPS, PICTURE_URL, ChannelCase, InBody
from tests.fakes.server import Request, Response

MEMBER, TEAM = "<@U024BE7LH>", "<!subteam^SAZ94GDB8>"  # who is named on purpose


def block_fault(blocks: list[dict[str, Any]]) -> str | None:
    """What Slack says of blocks beyond its limits."""
    total = 0
    for block in blocks:
        texts = [block["text"]] if "text" in block else []
        texts += block.get("fields", [])
        if block["type"] == "header" and len(block["text"]["text"]) > 150:
            return "invalid_blocks"
        if block["type"] == "section" and (
            len(block.get("fields", [])) > 10
            or any(len(text["text"]) > 2000 for text in block.get("fields", []))
            or len(block.get("text", {"text": ""})["text"]) > 3000
        ):
            return "invalid_blocks"
        for element in block.get("elements", []):
            if element["type"] == "button" and len(element["text"]["text"]) > 75:
                return "invalid_blocks"
        total += sum(len(text["text"]) for text in texts)
    if len(blocks) > 50:
        return "invalid_blocks"
    if any(block["type"] == "image" and not block.get("alt_text") for block in blocks):
        return "invalid_blocks"
    if any(block["type"] == "image" and "unreachable" in block["image_url"] for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if total > 13_200 else None


def mentions(value: Any) -> bool:
    """Slack parses mentions in `mrkdwn` and in the text of the message, not in `plain_text`."""
    if isinstance(value, dict):
        if value.get("type") == "plain_text":
            return False
        return any(mentions(part) for part in value.values())
    if isinstance(value, list):
        return any(mentions(part) for part in value)
    return isinstance(value, str) and ("<!" in value.replace(TEAM, "") or "<@" in value.replace(MEMBER, ""))


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.path != "/services/T1/B2/x0ken":
            return Response(404, b"no_service")
        value = request.json()
        if not value.get("text"):
            return Response(400, b"no_text")
        if fault := block_fault(value["blocks"]):
            return Response(400, fault.encode())
        assert not mentions(value), "a name from outside woke the whole channel"
        return Response(200, b"ok")


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/services/T1/B2/x0ken"},
    fake=Fake,
    secrets=("x0ken",),
    faults=(
        InBody("200 of a proxy", Response(200, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody("archived", Response(410, b"channel_is_archived"), Answer.PERMANENT, Cause.REJECTED),
        InBody("bad payload", Response(400, b"invalid_payload"), Answer.PERMANENT, Cause.REJECTED),
    ),
    extra={
        "mention": replace(OPS, mention=CALLED),
        "picture": replace(OPS, image_url=PICTURE_URL),
        "picture_unreachable": replace(OPS, image_url="https://unreachable.example/t.png"),
    },
)
