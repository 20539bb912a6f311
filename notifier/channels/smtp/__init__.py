"""Mail over SMTP: text and HTML, the chart inside it. One Message-ID a message, the same on every try.

A customer's mail carries a one-click way out (RFC 8058) where `[delivery] unsubscribe_url` is set; the relay signs it with
DKIM. After the data were sent a lost reply is ambiguous: mail has no keys, so it is not sent again by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal

from pydantic import Field

from notifier import chat
from notifier.http import Http
from notifier.options import Options, Secret
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

HELLO: Final = {"zh": "您好：", "en": "Hello,"}
COLON: Final = {"zh": "：", "en": ": "}
LEAVE: Final = {"zh": "不再接收此类邮件", "en": "No more mails like this"}


class SmtpOptions(Options):
    host: str = Field(min_length=1)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Secret | None = None
    sender: str = Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")
    sender_name: str = Field(
        "", max_length=60, pattern=r"^[^\r\n]*$", description="what receivers see: your shop"
    )
    to: tuple[str, ...] = Field((), description="of ops mail; a customer's message goes to the customer")
    timeout_seconds: float = Field(15.0, gt=0)
    ca_file: str | None = Field(None, description="a certificate authority of your own")


class SmtpChannel:
    Config = SmtpOptions
    name = "smtp"
    capabilities = Capabilities(image=True)
    limits = Limits(body_bytes=5_000_000, per_minute=60)

    def __init__(self, config: SmtpOptions, _http: Http | None = None) -> None:
        self._config = config

    async def send(self, message: Message, now: Instant) -> SendResult:
        to = self._recipients(message)
        if not to:
            return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="no_address")
        mail = self._mail(message, now, to)
        return await asyncio.to_thread(self._deliver, mail, to)

    def _recipients(self, message: Message) -> tuple[str, ...]:
        if message.customer_id is None:
            return self._config.to
        address = message.recipient.email if message.recipient else None
        # One address and no header of its own: what a customer typed must not add recipients.
        return (address,) if address and re.fullmatch(r"[^@\s<>,;:]+@[^@\s<>,;:]+", address) else ()

    def _mail(self, message: Message, now: Instant, to: tuple[str, ...]) -> EmailMessage:
        config = self._config
        mail = EmailMessage()
        mail["Subject"] = chat.cut(chat.one_line(message.title), 300)
        mail["From"] = Address(config.sender_name, addr_spec=config.sender)
        mail["To"] = ", ".join(to)
        mail["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
        domain = config.sender.rpartition("@")[2]
        mail["Message-ID"] = f"<{_token(message.key)}@{domain}>"
        if message.thread:
            mail["References"] = f"<{_token(message.thread)}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        plain, page = _letter(message) if message.customer_id else _report(message)
        if message.unsubscribe:
            mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        chart = f"chart.{_token(message.key)}@{domain}"
        shown = f'<p><img src="cid:{chart}" alt="chart"></p>' if message.image else ""
        mail.set_content(plain)
        mail.add_alternative(
            f'<!doctype html><html lang="{message.locale}"><body>{page}{shown}</body></html>', "html"
        )
        if message.image:
            html = mail.get_payload()[1]  # type: ignore[index]
            html.add_related(message.image, "image", "png", cid=f"<{chart}>", filename="chart.png")  # type: ignore[union-attr]
        return mail

    def _deliver(self, mail: EmailMessage, to: tuple[str, ...]) -> SendResult:
        config, sent = self._config, False
        try:
            with self._connect() as server:
                if config.security == "starttls":
                    server.starttls(context=self._tls())
                if config.username and config.password is not None:
                    server.login(config.username, config.password.get_secret_value())
                server.mail(config.sender)
                refused = [address for address in to if server.rcpt(address)[0] >= 400]
                if len(refused) == len(to):
                    return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="rcpt")
                sent = True
                code, _ = server.data(mail.as_bytes())
                return _of_code(code)
        except smtplib.SMTPAuthenticationError as error:
            return SendResult(Answer.RETRY, Cause.AUTH, detail=str(error.smtp_code))
        except smtplib.SMTPResponseException as error:
            return _of_code(error.smtp_code)
        except (OSError, smtplib.SMTPException) as error:
            if sent:
                return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=type(error).__name__)
            return SendResult(Answer.RETRY, Cause.NETWORK, detail=type(error).__name__)

    def _connect(self) -> smtplib.SMTP:
        config = self._config
        if config.security == "tls":
            return smtplib.SMTP_SSL(
                config.host, config.port, timeout=config.timeout_seconds, context=self._tls()
            )
        return smtplib.SMTP(config.host, config.port, timeout=config.timeout_seconds)

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._config.ca_file)


_HTML = chat.Dialect(
    bullet=chat.BULLET,
    escape=chat.HTML.escape,
    bold=chat.HTML.bold,
    link=chat.HTML.link,
    title=lambda text: f"<h3>{text}</h3>",
    newline="<br>\n",
)


def _letter(message: Message) -> tuple[str, str]:
    """To a customer, as text and as HTML; the title is the subject."""
    language = "zh" if message.locale.startswith("zh") else "en"
    plain = [HELLO[language], message.body]
    page = [html.escape(HELLO[language]), html.escape(message.body).replace("\n", "<br>\n")]
    if message.unsubscribe:
        plain.append(f"{LEAVE[language]}{COLON[language]}{message.unsubscribe}")
        page.append(
            f'<small><a href="{html.escape(message.unsubscribe)}">{html.escape(LEAVE[language])}</a></small>'
        )
    return "\n\n".join(plain), "\n".join(f"<p>{part}</p>" for part in page)


def _report(message: Message) -> tuple[str, str]:
    return chat.compose(message, chat.PLAIN, 100_000), chat.compose(message, _HTML, 200_000)


def _token(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _of_code(code: int) -> SendResult:
    if code < 400:
        return chat.DONE
    if code in {421, 450, 451, 452}:
        return SendResult(Answer.RETRY, Cause.RATE if code == 450 else Cause.SERVER, detail=str(code))
    if code in {530, 534, 535, 538}:
        return SendResult(Answer.RETRY, Cause.AUTH, detail=str(code))
    if code in {523, 552}:
        return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail=str(code))
    return SendResult(Answer.RETRY if code < 500 else Answer.PERMANENT, Cause.REJECTED, detail=str(code))
