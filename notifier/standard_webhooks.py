"""Signatures of the Standard Webhooks specification (standardwebhooks.com), version 1: symmetric."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from notifier.sending import Instant


def key_of(secret: str) -> bytes:
    """The bytes behind `whsec_<base64>`; any other text is its own UTF-8 bytes."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise ValueError("a secret that begins with whsec_ must go on in base64") from error
    return secret.encode()


def signature(secret: str, key: str, seconds: int, body: bytes) -> str:
    signed = f"{key}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(secret: str, key: str, now: Instant, body: bytes) -> dict[str, str]:
    """`key` is the message's own identity: a receiver drops one that it has seen. The signature's time is that of
    the attempt, so a retry passes the receiver's clock check.
    """
    seconds = now // 1000
    return {
        "webhook-id": key,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(secret, key, seconds, body),
    }
