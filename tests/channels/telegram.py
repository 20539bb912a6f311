from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from notifier.sending import Answer, Cause
from tests.channels.case import CALLED, OPS, ChannelCase, InBody
from tests.fakes.server import Request, Response

TOKEN = "1:t0ken"


class Tags(HTMLParser):
    """Telegram refuses a text whose tags do not close or that it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.wrong = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.wrong |= tag not in {"b", "a", "i", "code"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.wrong |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        self.text += data


class Fake:
    """A chat with one message, number 7."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, request: Request) -> Response:
        if not request.path.startswith(f"/bot{TOKEN}/"):
            return Response.of({"ok": False, "error_code": 401}, 401)
        if request.path.endswith("/sendPhoto"):
            assert b"\x89PNG" in request.body
            return Response.of({"ok": True, "result": {"message_id": 8}})
        value = request.json()
        if request.path.endswith("/editMessageText") and value["message_id"] != 7:
            return refusal("message to edit not found")
        if request.path.endswith("/editMessageText") and value["text"] == self.text:
            return refusal("message is not modified: specified new message content is the same")
        tags = Tags()
        tags.feed(value["text"])
        tags.close()
        if tags.wrong or tags.open or not tags.text.strip():
            return Response.of({"ok": False, "error_code": 400, "description": "can't parse entities"}, 400)
        if len(tags.text) > 4096:
            return Response.of({"ok": False, "error_code": 400, "description": "message is too long"}, 400)
        self.text = value["text"]
        return Response.of({"ok": True, "result": {"message_id": 7}})


def refusal(why: str) -> Response:
    return Response.of({"ok": False, "error_code": 400, "description": f"Bad Request: {why}"}, 400)


CASE = ChannelCase(
    options=lambda url: {"token": TOKEN, "chat_id": "-100", "topic": 3, "api_url": url},
    fake=Fake,
    secrets=(TOKEN,),
    faults=(
        InBody(
            "too fast",
            Response.of({"ok": False, "error_code": 429, "parameters": {"retry_after": 9}}, 429),
            Answer.RETRY,
            Cause.RATE,
            9.0,
        ),
        InBody(
            "200 but not ok",
            Response.of({"ok": False, "error_code": 400}),
            Answer.PERMANENT,
            Cause.REJECTED,
        ),
        InBody("an edit that changes nothing", refusal("message is not modified"), Answer.DONE, Cause.NONE),
        InBody("200 of a proxy", Response(200, b"<html>"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    extra={
        "picture": replace(OPS, image=b"\x89PNG\r\n\x1a\npicture"),
        "update": replace(OPS, update_of="7"),
        "update_of_what_is_gone": replace(OPS, update_of="6"),
        "reply": replace(OPS, reply_to="7"),
        "mention": replace(OPS, mention=CALLED),
    },
)
