"""One mail over one connection. `run` blocks, so it has a thread; `hang_up` ends it from outside and knows what came of it.

    connect, TLS, login -> MAIL -> RCPT of each -> DATA -> the mail -> its answer -> QUIT

Until the mail itself leaves, nothing has happened and every failure may be tried again. What is said of the connection
or the sender is about all mails, and waits for a person; what is said of a receiver or of the mail is about this one.
The answer to the mail decides: what QUIT says afterwards changes nothing.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from notifier.sending import Answer, Cause, SendResult

LOCKED_OUT: Final = frozenset({530, 534, 535, 538})
BUSY: Final = frozenset({421, 450, 451, 452})
NO_SUCH: Final = frozenset({550, 551, 553})
TOO_LARGE: Final = frozenset({523, 552})
TOO_MANY: Final = 552  # to RCPT it means 452: RFC 5321 4.5.3.1.10
LOST: Final = (Answer.AMBIGUOUS, Cause.LOST_REPLY)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Relay:
    """Where mail is handed over, and as whom. `timeout` is of each step, in seconds."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str
    password: str
    sender: str
    timeout: float
    ca_file: str | None


class _Told:
    """Shows itself before it connects, so that connecting can be ended, too."""

    def __init__(self, show: Callable[[Any], None], *given: Any, **options: Any) -> None:
        show(self)
        super().__init__(*given, **options)


class _Plain(_Told, smtplib.SMTP): ...


class _Tls(_Told, smtplib.SMTP_SSL): ...


class _HungUpError(Exception):
    """Nobody waits for this exchange any more."""


class Exchange:
    def __init__(self, relay: Relay, mail: bytes, to: Sequence[str]) -> None:
        """`mail` has CRLF at its line ends, `to` only addresses in ASCII."""
        self._relay = relay
        self._mail = mail
        self._to = to
        self._lock = threading.Lock()
        self._server: smtplib.SMTP | None = None
        self._over = False
        self._leaving = False
        self._result: SendResult | None = None

    def run(self) -> SendResult:
        """Raises nothing for what a server or network does."""
        try:
            try:
                server = self._entered()
                self._result = result = self._handed_over(server)
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    server.quit()
            finally:
                if self._server is not None:
                    self._server.close()
        except smtplib.SMTPAuthenticationError as error:
            return SendResult(Answer.RETRY, Cause.AUTH, detail=str(error.smtp_code))
        except smtplib.SMTPResponseException as error:
            return _broken(str(error.smtp_code), Cause.SERVER, leaving=self._leaving)
        except (OSError, smtplib.SMTPException, _HungUpError) as error:
            return _broken(type(error).__name__, Cause.NETWORK, leaving=self._leaving)
        return result

    def hang_up(self) -> SendResult:
        """From another thread. Ends the connection; a mail that has not begun to leave never will."""
        with self._lock:
            self._over = True
            result, leaving, server = self._result, self._leaving, self._server
        if server is not None and server.sock is not None:
            # The plain call: that of a TLS socket ends its encryption first, while the other thread may be writing.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(server.sock, socket.SHUT_RDWR)
        return result or _broken("Deadline", Cause.NETWORK, leaving=leaving)

    def _entered(self) -> smtplib.SMTP:
        relay = self._relay
        where = (self._show, relay.host, relay.port)
        server: smtplib.SMTP
        if relay.security == "tls":
            server = _Tls(*where, timeout=relay.timeout, context=self._context())
        else:
            server = _Plain(*where, timeout=relay.timeout)
        if relay.security == "starttls":
            server.starttls(context=self._context())
        if relay.username and relay.password:
            server.login(relay.username, relay.password)
        else:
            server.ehlo_or_helo_if_needed()
        return server

    def _show(self, server: smtplib.SMTP) -> None:
        with self._lock:
            self._server = server
            if self._over:
                raise _HungUpError

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._relay.ca_file)

    def _handed_over(self, server: smtplib.SMTP) -> SendResult:
        code, _ = server.mail(self._relay.sender)
        if not _good(code):
            return _of_sender(code)
        answers = [server.rcpt(address) for address in self._to]
        refused = [number for number, (code, _) in enumerate(answers) if not _good(code)]
        if len(refused) == len(answers):
            return _of_receiver(*min(answers))  # who may be had later comes before who never can
        with self._lock:
            if self._over:
                raise _HungUpError
            self._leaving = True
        try:
            code, _ = server.data(self._mail)
        except smtplib.SMTPDataError as error:  # to the word DATA: nothing of the mail was said
            self._leaving = False
            return _refused(error.smtp_code)
        if not _good(code):
            return _refused(code) if code >= 400 else SendResult(*LOST, detail=str(code))
        return SendResult(Answer.DONE, detail=_tell(refused, [answers[number][0] for number in refused]))


def _broken(detail: str, cause: Cause, *, leaving: bool) -> SendResult:
    return SendResult(*LOST, detail=detail) if leaving else SendResult(Answer.RETRY, cause, detail=detail)


def _tell(refused: Sequence[int], codes: Sequence[int]) -> str:
    """Of several receivers some have it: that is done, and who has not is told by the place in `to`."""
    if not refused:
        return ""
    log.warning("mail.receivers_refused", places=[number + 1 for number in refused], codes=list(codes))
    return f"{len(refused)} refused: {' '.join(map(str, sorted(set(codes))))}"


def _good(code: int) -> bool:
    return 200 <= code < 300


def _of_sender(code: int) -> SendResult:
    """A no for good is about the account, not about this mail."""
    return SendResult(Answer.RETRY, Cause.AUTH, detail=f"mail {code}") if code >= 500 else _refused(code)


def _of_receiver(code: int, text: bytes) -> SendResult:
    """One mailbox that is busy, or a grey list, is no reason for the other mails to wait."""
    detail = f"rcpt {code}"
    if code in BUSY - {421} or code == TOO_MANY:
        return SendResult(Answer.RETRY, Cause.REJECTED, detail=detail)
    if code in NO_SUCH and not text.startswith(b"5.7."):  # 5.7: it is there, and we are not let in
        return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail=detail)
    return _refused(code)


def _refused(code: int) -> SendResult:
    """Of a mail that was certainly not taken. What is no code of SMTP is a server out of order."""
    if code in BUSY or code < 400 or code >= 600:
        return SendResult(Answer.RETRY, Cause.RATE if code == 450 else Cause.SERVER, detail=str(code))
    if code in LOCKED_OUT:
        return SendResult(Answer.RETRY, Cause.AUTH, detail=str(code))
    if code in TOO_LARGE:
        return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail=str(code))
    return SendResult(Answer.RETRY if code < 500 else Answer.PERMANENT, Cause.REJECTED, detail=str(code))
