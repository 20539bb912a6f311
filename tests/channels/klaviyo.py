from __future__ import annotations

import re
from dataclasses import replace

from notifier.sending import Answer, Cause, Contact
from tests.channels.case import CUSTOMER, EMAIL, ChannelCase, InBody
from tests.fakes.server import Request, Response

KEY = "pk_77aa88bb99"


class Fake:
    """Records the first event of a `unique_id`; the next ones are accepted and dropped."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Klaviyo-API-Key {KEY}":
            return error(401, "not_authenticated")
        if request.path != "/api/events" or "revision" not in request.headers:
            return error(400, "invalid")
        attributes = request.json()["data"]["attributes"]
        if len(attributes["properties"]) > 400 or len(request.body) > 5_000_000:
            return error(400, "invalid")
        if any(len(str(value).encode()) > 100_000 * 2 for value in attributes["properties"].values()):
            return error(400, "invalid")
        profile = attributes["profile"]["data"]["attributes"]
        if not {"email", "phone_number", "external_id"} & profile.keys():
            return error(400, "invalid")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", profile.get("phone_number", "+15550100")):
            return error(400, "invalid")
        self.seen.add(attributes["unique_id"])
        return Response(202)


def error(status: int, code: str) -> Response:
    return Response.of({"errors": [{"status": status, "code": code, "detail": "no"}]}, status)


CASE = ChannelCase(
    options=lambda url: {"url": url, "key": KEY},
    fake=Fake,
    secrets=(KEY,),
    faults=(
        InBody("invalid", error(400, "invalid"), Answer.PERMANENT, Cause.REJECTED),
        InBody("key revoked", error(401, "not_authenticated"), Answer.RETRY, Cause.AUTH),
    ),
    audience="customer",
    extra={"phone_as_typed": replace(CUSTOMER, recipient=Contact("(212) 555-0188", EMAIL))},
)
