"""Mail against a server that speaks SMTP and can refuse, stall and hang up."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Mapping
from dataclasses import replace

import pytest

from notifier.channels.smtp import SmtpChannel, SmtpOptions
from notifier.sending import Answer, Cause, Contact, SendResult
from tests.channels.case import CUSTOMER, NOW, OPS


class MailServer:
    """Answers by verb; `None` hangs up."""

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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 localhost\r\n")
        while line := await reader.readline():
            verb = line[:4].decode().upper()
            answer = self.answers.get(verb, "250 ok")
            if answer is not None:
                writer.write(answer.encode() + b"\r\n")
            if verb == "DATA" and answer and answer.startswith("354"):
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                answer = self.answers["END"]
                if answer is not None:
                    writer.write(answer.encode() + b"\r\n")
            if answer is None or verb == "QUIT":
                break
        writer.close()


async def send(server: MailServer, *, times: int = 1, image: bytes | None = None) -> SendResult:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        options = SmtpOptions.model_validate(
            {
                "host": "127.0.0.1",
                "port": listening.sockets[0].getsockname()[1],
                "security": "none",
                "sender": "forestall@shop.example",
                "to": ["ops@shop.example"],
                "username": "u",
                "password": "pa55word",
                "timeout_seconds": 2,
            }
        )
        channel = SmtpChannel(options)
        for _ in range(times):
            result = await channel.send(replace(OPS, image=image), NOW)
        return result


def test_a_mail_is_text_and_html_with_the_chart_and_a_fixed_id() -> None:
    server = MailServer()
    result = asyncio.run(send(server, times=2, image=b"\x89PNG\r\n\x1a\npicture"))
    assert result.answer is Answer.DONE
    first, second = (email.message_from_bytes(raw, policy=email.policy.default) for raw in server.mails)
    assert first["Subject"] == OPS.title
    assert first["Message-ID"] == second["Message-ID"]
    kinds = [part.get_content_type() for part in first.walk()]
    assert {"text/plain", "text/html", "image/png"} <= set(kinds)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"AUTH": "535 no"}, (Answer.RETRY, Cause.AUTH)),
        ({"MAIL": "451 later"}, (Answer.DONE, Cause.NONE)),
        ({"RCPT": "550 unknown"}, (Answer.PERMANENT, Cause.NO_CONTACT)),
        ({"DATA": "451 later"}, (Answer.RETRY, Cause.SERVER)),
        ({"END": "552 too large"}, (Answer.PERMANENT, Cause.TOO_LARGE)),
        ({"END": "554 spam"}, (Answer.PERMANENT, Cause.REJECTED)),
        ({"END": None}, (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
        ({"MAIL": None}, (Answer.RETRY, Cause.NETWORK)),
    ],
)
def test_every_answer_has_its_class(
    answers: Mapping[str, str | None], expected: tuple[Answer, Cause]
) -> None:
    result = asyncio.run(send(MailServer(answers)))
    assert (result.answer, result.cause) == expected
    assert "pa55word" not in repr(result)


@pytest.mark.parametrize(
    ("address", "answer", "mails"),
    [
        ("li.lei@example.com", Answer.DONE, 1),
        (None, Answer.PERMANENT, 0),
        ("a@example.com, b@example.com", Answer.PERMANENT, 0),
        ("a@example.com\r\nBcc: b@example.com", Answer.PERMANENT, 0),
    ],
)
def test_a_customers_mail_goes_to_the_customer_and_nobody_else(
    address: str | None, answer: Answer, mails: int
) -> None:
    async def run() -> None:
        server = MailServer()
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            options = {
                "host": "127.0.0.1",
                "port": listening.sockets[0].getsockname()[1],
                "security": "none",
                "sender": "care@shop.example",
                "to": ["ops@shop.example"],
            }
            channel = SmtpChannel(SmtpOptions.model_validate(options))
            message = replace(CUSTOMER, recipient=Contact(email=address))
            assert (await channel.send(message, NOW)).answer is answer
        assert len(server.mails) == mails
        for raw in server.mails:
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            assert mail["To"] == address
            assert "ops@shop.example" not in str(mail)

    asyncio.run(run())


@pytest.mark.parametrize(("locale", "hello"), [("zh-CN", "您好："), ("en", "Hello,")])
def test_a_customers_mail_is_a_letter_of_the_shop(locale: str, hello: str) -> None:
    async def run() -> None:
        server = MailServer()
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            options = {
                "host": "127.0.0.1",
                "port": listening.sockets[0].getsockname()[1],
                "security": "none",
                "sender": "care@shop.example",
                "sender_name": "某某商城",
            }
            channel = SmtpChannel(SmtpOptions.model_validate(options))
            body = "<b>1001</b> & more\nsecond line"
            message = replace(CUSTOMER, locale=locale, body=body, unsubscribe="https://shop.example/u/1?a&b")
            assert (await channel.send(message, NOW)).answer is Answer.DONE
        mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
        assert str(mail["From"]) == "某某商城 <care@shop.example>"
        parts = {
            part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()
        }
        plain, page = parts["text/plain"].replace("\r\n", "\n"), parts["text/html"]
        assert plain.startswith(f"{hello}\n\n{body}\n\n")
        assert CUSTOMER.title not in plain, "the title is the subject"
        assert "&lt;b&gt;1001&lt;/b&gt; &amp; more<br>" in page
        assert 'href="https://shop.example/u/1?a&amp;b"' in page

    asyncio.run(run())
