"""A mail server that keeps to RFC 5321 and can refuse, stall, drip and hang up; in the clear or over TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifier.channels.smtp import SmtpChannel, SmtpOptions

BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
DRIP: Final = "drip"  # as an answer: a reply that never ends


class MailServer:
    """Answers by verb, by `RCPT address`, and `END` to the mail itself; `None` hangs up, `DRIP` sends a byte now and then.
    `taken` are the mails that it says it has, `mails` all it was given.
    """

    def __init__(self, answers: Mapping[str, str | None] | None = None) -> None:
        self.answers = {
            "EHLO": "250-localhost\r\n250 AUTH PLAIN LOGIN",
            "AUTH": "235 in",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go on",
            "END": "250 queued",
            "QUIT": "221 bye",
            **(answers or {}),
        }
        self.mails: list[bytes] = []
        self.taken: list[bytes] = []
        self.verbs: list[str] = []
        self.certificate: ssl.SSLContext | None = None
        self.dripped = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._say(writer, self.answers.get("", "220 localhost"))
            while line := await reader.readuntil(b"\r\n"):
                verb = line[:4].decode().upper()
                self.verbs.append(verb)
                if verb == "STAR" and self.certificate is not None:
                    await self._say(writer, "220 go on")
                    await writer.start_tls(self.certificate)
                    continue
                answer = self._answer(verb, line)
                if not await self._say(writer, answer) or verb == "QUIT":
                    break
                if verb == "DATA" and answer is not None and answer.startswith("354"):
                    mail = await reader.readuntil(b"\r\n.\r\n")
                    if not await self._say(writer, self._judged(mail)):
                        break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.ended.set()

    def _answer(self, verb: str, line: bytes) -> str | None:
        if not line.isascii():
            return "500 no SMTPUTF8 here"
        if verb == "RCPT" and (found := re.search(r"<(.*)>", line.decode())) is not None:
            return self.answers.get(f"RCPT {found[1]}", self.answers["RCPT"])
        return self.answers.get(verb, "250 ok")

    def _judged(self, mail: bytes) -> str | None:
        self.mails.append(mail)
        if BARE.search(mail):
            return "550 5.6.11 bare line feeds are not accepted"
        if not mail.isascii():
            return "554 5.6.1 no 8BITMIME here"
        answer = self.answers["END"]
        if answer is not None and answer.startswith("2"):
            self.taken.append(mail)
        return answer

    async def _say(self, writer: asyncio.StreamWriter, answer: str | None) -> bool:
        """Whether the conversation goes on."""
        if answer is None:
            return False
        while answer == DRIP:
            writer.write(b"2")
            await writer.drain()
            self.dripped.set()
            await asyncio.sleep(0.02)  # the fault itself: a server that drips
        writer.write(answer.encode() + b"\r\n")
        return True


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Of a server at 127.0.0.1, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    began = datetime(2000, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began.replace(year=2100))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "ca.pem", folder / "key.pem"
    trusted.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return context, trusted


@asynccontextmanager
async def mailing(server: MailServer, **options: Any) -> AsyncIterator[SmtpChannel]:
    """The server on a port, and a channel that hands its mail over there."""
    at_once = server.certificate if options.get("security") == "tls" else None
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=at_once)
    async with listening:
        given = {
            "host": "127.0.0.1",
            "port": listening.sockets[0].getsockname()[1],
            "security": "none",
            "sender": "care@shop.example",
            "timeout_seconds": 2,
            **options,
        }
        yield SmtpChannel(SmtpOptions.model_validate(given))
