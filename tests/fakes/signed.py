"""The receiver's side of Standard Webhooks, written from the specification and not with our signer."""

from __future__ import annotations

import base64
import hashlib
import hmac

from tests.fakes.server import Request, Response

TOLERANCE_SECONDS = 300


def refuse_unsigned(request: Request, secret: str, now: int) -> Response | None:
    """401 as a receiver says it, or None where the signature and its time hold."""
    headers = request.headers
    if not {"webhook-id", "webhook-timestamp", "webhook-signature"} <= headers.keys():
        return Response.of({"error": "missing signature"}, 401)
    if abs(int(headers["webhook-timestamp"]) - now // 1000) > TOLERANCE_SECONDS:
        return Response.of({"error": "timestamp"}, 401)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), request.body])
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if expected not in headers["webhook-signature"].split(" "):
        return Response.of({"error": "signature"}, 401)
    return None
