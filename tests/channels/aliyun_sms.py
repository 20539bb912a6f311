from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from notifier.sending import Answer, Cause
from tests.channels.case import ChannelCase, InBody
from tests.fakes.server import Request, Response

ACCESS, SECRET = "LTAI5tExample", "hQ8examplesecret"


class Fake:
    """Checks the ACS3 signature over what really came, and lists what was sent, written from the documentation."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.status = 3  # 1 waits, 2 failed, 3 delivered

    def __call__(self, request: Request) -> Response:
        if not self._signed(request):
            return said("SignatureDoesNotMatch", 403)
        query = request.query
        at = datetime.fromisoformat(request.headers["x-acs-date"])
        day = (at + timedelta(hours=8)).strftime("%Y%m%d")
        if request.headers["x-acs-action"] == "QuerySendDetails":
            return self._listed(query)
        if query["TemplateCode"] != "SMS_123456":
            return said("isv.SMS_TEMPLATE_ILLEGAL")
        if not query["PhoneNumbers"].isdigit():
            return said("isv.MOBILE_NUMBER_ILLEGAL")
        if any(len(str(value)) > 35 for value in json.loads(query["TemplateParam"]).values()):
            return said("isv.PARAM_LENGTH_LIMIT")
        one = {
            "PhoneNum": query["PhoneNumbers"],
            "OutId": query["OutId"],
            "SendStatus": self.status,
            "day": day,
        }
        self.sent.append(one)
        return Response.of({"Code": "OK", "Message": "OK", "BizId": "B1", "RequestId": "R1"})

    def _listed(self, query: Mapping[str, str]) -> Response:
        if (
            not 1 <= int(query["PageSize"]) <= 50
            or int(query["CurrentPage"]) < 1
            or len(query["SendDate"]) != 8
        ):
            return said("isv.INVALID_PARAMETERS")
        wanted = {"PhoneNum": query["PhoneNumber"], "day": query["SendDate"]}
        found = [one for one in self.sent if wanted.items() <= one.items()]
        page = found[: int(query["PageSize"])]
        details = {"SmsSendDetailDTO": [{k: v for k, v in one.items() if k != "day"} for one in page]}
        return Response.of(
            {"Code": "OK", "Message": "OK", "TotalCount": str(len(found)), "SmsSendDetailDTOs": details}
        )

    @staticmethod
    def _signed(request: Request) -> bool:
        scheme, _, rest = request.headers["authorization"].partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(","))
        names = parts["SignedHeaders"].split(";")
        digest = hashlib.sha256(request.body).hexdigest()
        lines = [
            request.method,
            urlsplit(request.target).path,
            "&".join(sorted(urlsplit(request.target).query.split("&"))),
            "".join(f"{name}:{request.headers[name]}\n" for name in names),
            ";".join(names),
            digest,
        ]
        text = f"{scheme}\n" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
        expected = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        return (
            scheme == "ACS3-HMAC-SHA256"
            and parts["Credential"] == ACCESS
            and request.headers["x-acs-content-sha256"] == digest
            and {"host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce"} <= set(names)
            and hmac.compare_digest(parts["Signature"], expected)
        )


def said(code: str, status: int = 200) -> Response:
    return Response.of({"Code": code, "Message": "13912345678 no", "RequestId": "R1"}, status)


CASE = ChannelCase(
    options=lambda url: {
        "url": url,
        "access_key": ACCESS,
        "secret": SECRET,
        "sign_name": "某某商城",
        "templates": {
            "late_coupon": {
                "code": "SMS_123456",
                "variables": {"order": "order_id", "money": "amount", "code": "coupon_code"},
            }
        },
    },
    fake=Fake,
    secrets=(ACCESS, SECRET),
    faults=(
        InBody("too often to one", said("isv.BUSINESS_LIMIT_CONTROL"), Answer.RETRY, Cause.RECIPIENT_RATE),
        InBody("our clock", said("InvalidTimeStamp.Expired", 400), Answer.RETRY, Cause.AUTH),
        InBody("not allowed, by its status", said("NoPermission", 403), Answer.RETRY, Cause.AUTH),
        InBody("too fast, by its status", said("FlowLimit", 429), Answer.RETRY, Cause.RATE),
        InBody("throttled", said("Throttling.User", 400), Answer.RETRY, Cause.RATE),
        InBody("no money left", said("isv.AMOUNT_NOT_ENOUGH"), Answer.RETRY, Cause.AUTH),
        InBody("signature", said("SignatureDoesNotMatch", 400), Answer.RETRY, Cause.AUTH),
        InBody("no such number", said("isv.MOBILE_NUMBER_ILLEGAL"), Answer.PERMANENT, Cause.NO_CONTACT),
        InBody("template refused", said("isv.SMS_TEMPLATE_ILLEGAL"), Answer.PERMANENT, Cause.REJECTED),
        InBody("their fault", said("isp.SYSTEM_ERROR"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
        InBody("no code", Response(200, b"{}"), Answer.AMBIGUOUS, Cause.LOST_REPLY),
    ),
    audience="customer",
)
