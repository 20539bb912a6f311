"""Names derived with the tenant's key: coupon codes, holdout arms, pseudonyms.

Keyed, so that nobody outside can compute them: a customer cannot guess another's coupon, choose an order that lands
in the treated arm, or test a phone number against a hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from notifier.sending import Contact

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX: Final = "SRY"
BUCKETS: Final = 10_000
ADDRESS: Final = "a:"
TOKEN_MAC: Final = 32  # hexadecimal digits: 128 bits


class Identity:
    """`key` is the tenant's secret; changing it changes every code, so it changes never while claims live."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the tenant key must have at least 16 bytes")
        self._key = key

    def __repr__(self) -> str:
        return "Identity(<secret>)"

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256)

    def coupon_code(self, intent: str) -> str:
        number = int.from_bytes(hmac.digest(self._key, intent.encode(), hashlib.sha256)[:8], "big") >> 4
        return PREFIX + "".join(CROCKFORD[number >> (55 - 5 * place) & 31] for place in range(12))

    def bucket(self, customer_id: str) -> int:
        """0..9999, the same for ever: below the holdout share, the customer is in the holdout arm."""
        return int.from_bytes(self._digest("arm", customer_id)[:8], "big") % BUCKETS

    def pseudonym(self, customer_id: str) -> str:
        return self._digest("customer", customer_id).hex()[:24]

    def opt_out_token(self, customer_id: str) -> str:
        """What the link in a mail carries: no name, the same for ever, and computable by nobody else."""
        who = self.pseudonym(customer_id)
        return f"{who}{self._digest('opt-out', who).hex()[:TOKEN_MAC]}"

    def opted_out(self, token: str) -> str | None:
        """The customer's pseudonym; None where the token is not ours."""
        if not re.fullmatch(r"[0-9a-f]{56}", token):
            return None
        who, mac = token[:-TOKEN_MAC], token[-TOKEN_MAC:]
        return who if hmac.compare_digest(mac, self._digest("opt-out", who).hex()[:TOKEN_MAC]) else None

    def contact_hashes(self, contact: Contact, address: str | None = None) -> tuple[str, ...]:
        """Of phone, e-mail and address, each normalised: the same person under many names has one of them in common.
        That of an address begins with `ADDRESS`: families and offices share one, so it has a cap of its own.
        """
        parts = []
        if contact.phone and (digits := re.sub(r"\D", "", contact.phone)):
            parts.append("phone:" + digits[-11:])
        if contact.email:
            parts.append("email:" + contact.email.strip().casefold())
        if address and (words := re.sub(r"\W", "", address).casefold()):
            parts.append("address:" + words)
        return tuple(
            (ADDRESS if part.startswith("address:") else "") + self._digest("contact", part).hex()[:24]
            for part in parts
        )

    def checksum(self, record: bytes) -> str:
        return hmac.digest(self._key, b"record\0" + record, hashlib.sha256).hex()[:32]
