"""Signatures: computed over the raw bytes, compared in constant time, and refused where anything is missing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from monitor.feeds.base import Refusal, Rejected


def given(values: Mapping[str, str], *names: str) -> str:
    """The first of these headers or parameters that is there; an empty one is a missing one."""
    for name in names:
        if value := values.get(name, "").strip():
            return value
    raise Rejected(Refusal.MISSING)


def same(expected: str, signature: str) -> None:
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
        raise Rejected(Refusal.WRONG)


def hmac_hex(secret: bytes, body: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def hmac_base64(secret: bytes, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, body, "sha256")).decode()


def md5_hex(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()  # the provider's choice, not ours
