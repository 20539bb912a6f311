"""Buttons for chats that cannot call back: signed links that expire and work once.

A link is `/a/TOKEN`: fetching it shows what it would do and does nothing (link previews fetch), sending the form does
it. The token carries its own right: whoever has it may act once, and the audit keeps what they say their name is.
`Links` is pure; that a link was used is remembered by the store (`Used`), as a restart must not make it fresh.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from detectors.findings import Instant


class Act(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    APPROVE = "approve"
    REJECT = "reject"
    USEFUL = "useful"
    NOISE = "noise"
    CHART = "chart"  # to see a picture, not to do anything


class LinkFault(StrEnum):
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    USED = "used"


class BadLink(Exception):  # noqa: N818 - the word people use
    """A link that does nothing; `fault` says why."""

    def __init__(self, fault: LinkFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Link:
    """`subject` is an incident or action id; `rule` the rule that is praised or blamed by useful and noise."""

    act: Act
    subject: str
    expires_at: Instant
    nonce: str
    rule: str = ""


class Used(Protocol):
    async def take(self, nonce: str, expires_at: Instant, now: Instant) -> bool:
        """True for the first who asks; the memory may end when the link has expired."""
        ...


class _Payload(msgspec.Struct, array_like=True):
    act: str
    subject: str
    expires_at: int
    nonce: str
    rule: str


class Links:
    """`secrets`: the first signs, all verify, so that a secret can be changed while old links still work."""

    def __init__(self, *secrets: bytes) -> None:
        if not secrets or not all(len(secret) >= 16 for secret in secrets):
            raise ValueError("a link secret needs at least 16 bytes")
        self._secrets = secrets

    def sign(self, link: Link) -> str:
        payload = msgspec.msgpack.encode(
            _Payload(link.act.value, link.subject, link.expires_at, link.nonce, link.rule)
        )
        return f"{_text(payload)}.{_text(self._mac(self._secrets[0], payload))}"

    def verify(self, token: str, now: Instant) -> Link:
        """Raises BadLink. Whether it was used before, only the store knows."""
        first, _, second = token.partition(".")
        try:
            payload, mac = _bytes(first), _bytes(second)
        except (ValueError, binascii.Error) as error:
            raise BadLink(LinkFault.MALFORMED) from error
        if not any(hmac.compare_digest(mac, self._mac(secret, payload)) for secret in self._secrets):
            raise BadLink(LinkFault.FORGED)
        try:
            read = msgspec.msgpack.decode(payload, type=_Payload)
            link = Link(Act(read.act), read.subject, read.expires_at, read.nonce, read.rule)
        except (msgspec.DecodeError, ValueError) as error:
            raise BadLink(LinkFault.MALFORMED) from error
        if now >= link.expires_at:
            raise BadLink(LinkFault.EXPIRED)
        return link

    @staticmethod
    def _mac(secret: bytes, payload: bytes) -> bytes:
        return hmac.digest(secret, b"forestall-link\0" + payload, "sha256")[:18]


def nonce(*parts: str) -> str:
    """The same button of the same message has the same nonce after a replay, so it stays one button."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=9).hexdigest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Strict: characters outside the alphabet are refused, not skipped, so that a token has one spelling."""
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
