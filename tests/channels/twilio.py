from __future__ import annotations

import base64
from datetime import UTC, datetime
from email.utils import format_datetime

from notifier.sending import Answer, Cause
from tests.channels.case import NOW, ChannelCase, InBody
from tests.fakes.server import Request, Response

ACCOUNT, TOKEN = "AC" + "0" * 31 + "1", "t0ken5ecret"
SERVICE = "MG" + "0" * 31 + "2"


class Fake:
    """Keeps what was sent, and lists it, newest first."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now
        self.sent: list[dict[str, str | None]] = []
        self.status = "delivered"

    def __call__(self, request: Request) -> Response:
        pair = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return error(401, 20003)
        if request.path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return error(404, 20404)
        if request.method == "GET":
            size, to = int(request.query["PageSize"]), request.query["To"]
            found = [one for one in reversed(self.sent) if one["to"] == to][:size]
            return Response.of({"messages": found, "page": 0, "page_size": size, "next_page_uri": None})
        form = request.form
        if not form.get("To", "").startswith("+"):
            return error(400, 21211)
        if len(form.get("Body", "")) > 1600:
            return error(400, 21617)
        if form.get("MessagingServiceSid") != SERVICE:
            return error(400, 21603)
        at = format_datetime(datetime.fromtimestamp(self.now / 1000, UTC))
        self.sent.append(
            {
                "to": form["To"],
                "body": form["Body"],
                "status": self.status,
                "date_created": at,
                "date_sent": None,
            }
        )
        return Response.of({"sid": "SM1", "status": "queued"}, 201)


def error(status: int, code: int) -> Response:
    return Response.of({"code": code, "message": "no +8613912345678", "status": status}, status)


CASE = ChannelCase(
    options=lambda url: {"url": url, "account": ACCOUNT, "token": TOKEN, "service": SERVICE},
    fake=Fake,
    secrets=(TOKEN, base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()),
    faults=(
        InBody("stopped", error(400, 21610), Answer.PERMANENT, Cause.OPTED_OUT),
        InBody("no such number", error(400, 21211), Answer.PERMANENT, Cause.NO_CONTACT),
        InBody("too many", error(429, 20429), Answer.RETRY, Cause.RATE),
        InBody("queue full", error(400, 21611), Answer.RETRY, Cause.RATE),
        InBody("text refused", error(400, 21617), Answer.PERMANENT, Cause.REJECTED),
        InBody("no sid", Response(201, b"{}"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    audience="customer",
)
