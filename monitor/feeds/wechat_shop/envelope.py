"""WeChat's encrypted envelope: AES-256-CBC with the key's first 16 bytes as the start, padded to 32 bytes.

Inside: 16 random bytes, the length in 4 bytes (network order), the message, the app's id.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from monitor.feeds.base import Unreadable
from monitor.vocabulary import DeadReason

_BLOCK = 32


class Envelope:
    def __init__(self, encoding_aes_key: str) -> None:
        """Raises ValueError where the key is not the 43 characters that WeChat shows."""
        try:
            self._key = base64.b64decode(encoding_aes_key + "=", validate=True)
        except binascii.Error:
            raise ValueError("aes_key is not base64") from None
        if len(self._key) != 32:
            raise ValueError("aes_key must have 43 characters")

    def open(self, encrypted: str) -> bytes:
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable(DeadReason.MALFORMED_JSON, "Encrypt") from None
        if not sealed or len(sealed) % 16:
            raise Unreadable(DeadReason.MALFORMED_JSON, "Encrypt")
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        content = padded[: -padded[-1]] if 1 <= padded[-1] <= _BLOCK else b""
        length = int.from_bytes(content[16:20], "big")
        if len(content) < 20 + length:
            raise Unreadable(DeadReason.MALFORMED_JSON, "Encrypt")
        return bytes(content[20 : 20 + length])

    def seal(self, message: bytes, app_id: bytes = b"wx0000000000000000") -> str:
        """For samples and tests: fixed where WeChat puts random bytes, so it must never protect anything."""
        content = b"0" * 16 + len(message).to_bytes(4, "big") + message + app_id
        padding = _BLOCK - len(content) % _BLOCK
        encryptor = self._cipher().encryptor()
        return base64.b64encode(
            encryptor.update(content + bytes([padding]) * padding) + encryptor.finalize()
        ).decode()

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))
