"""Mail over SMTP: text and HTML, the chart inside it. One Message-ID a message, the same on every try.

A customer's mail carries a one-click way out (RFC 8058) where `[delivery] unsubscribe_url` is set; the relay signs it with
DKIM. After the data were sent a lost reply is ambiguous: mail has no keys, so it is not sent again by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
from datetime import UTC, datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.message import Message as Mail
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Final, Literal

from pydantic import Field, field_validator

from notifier import chat
from notifier.channels.smtp.addresses import mailbox, sendable
from notifier.channels.smtp.exchange import Exchange, Relay
from notifier.http import Http
from notifier.options import Options, Secret
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

HELLO: Final = {"zh": "您好：", "en": "Hello,"}
COLON: Final = {"zh": "：", "en": ": "}
LEAVE: Final = {"zh": "不再接收此类邮件", "en": "No more mails like this"}


class _Whole(UnstructuredHeader, BaseHeader):
    """A link or an id in ASCII. The library would write one that is longer than a line as an encoded word, which no mail
    program takes for a link.
    """

    def fold(self, *, policy: Policy[Mail[str, str]]) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)
_HEADERS.map_to_type("references", _Whole)
FORM: Final = SMTP.clone(cte_type="7bit", header_factory=_HEADERS)  # any server takes ASCII


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
    timeout_seconds: float = Field(15.0, gt=0, description="of one step")
    deadline_seconds: float = Field(45.0, gt=0, le=50, description="of the whole exchange")
    ca_file: str | None = Field(None, description="a certificate authority of your own")

    @field_validator("sender", "to")
    @classmethod
    def _sendable(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            mailbox(one)
        return value


class SmtpChannel:
    Config = SmtpOptions
    name = "smtp"
    capabilities = Capabilities(image=True)
    limits = Limits(body_bytes=5_000_000, per_minute=60)

    def __init__(self, config: SmtpOptions, _http: Http | None = None) -> None:
        self._config = config
        self._sender = mailbox(config.sender)
        self._relay = Relay(
            config.host,
            config.port,
            config.security,
            config.username,
            config.password.get_secret_value() if config.password else "",
            self._sender.addr_spec,
            config.timeout_seconds,
            config.ca_file,
        )

    async def send(self, message: Message, now: Instant) -> SendResult:
        to = self._recipients(message)
        if not to:
            return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="no_address")
        mail = self._mail(message, now, to).as_bytes()
        exchange = Exchange(self._relay, mail, [address.addr_spec for address in to])
        work = asyncio.create_task(asyncio.to_thread(exchange.run))
        try:
            async with asyncio.timeout(self._config.deadline_seconds):
                return await asyncio.shield(work)
        except TimeoutError:
            return exchange.hang_up()
        except asyncio.CancelledError:
            exchange.hang_up()
            raise

    def _recipients(self, message: Message) -> tuple[Address, ...]:
        if message.customer_id is None:
            return tuple(mailbox(one) for one in self._config.to)
        # One address and no header of its own: what a customer typed must not add recipients.
        address = sendable(message.recipient.email or "") if message.recipient else None
        return (address,) if address else ()

    def _mail(self, message: Message, now: Instant, to: tuple[Address, ...]) -> EmailMessage:
        mail = EmailMessage(FORM)
        mail["Subject"] = chat.cut(chat.one_line(message.title), 300)
        mail["From"] = Address(self._config.sender_name, self._sender.username, self._sender.domain)
        mail["To"] = to
        mail["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
        domain = self._sender.domain
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
