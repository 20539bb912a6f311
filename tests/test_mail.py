"""Mail against a server that speaks SMTP and can refuse, stall and hang up."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from notifier.channels.smtp import SmtpOptions
from notifier.sending import Answer, Cause, Contact, SendResult
from tests.channels.case import CUSTOMER, NOW, OPS
from tests.fakes.mail import DRIP, MailServer, certificate, mailing

LONG_HOST = "https://a-shop-with-a-long-name.example/forestall/u/" + "0123456789abcdef" * 4


async def send(
    server: MailServer, *, times: int = 1, image: bytes | None = None, **options: Any
) -> SendResult:
    given = {"to": ["ops@shop.example"], "username": "u", "password": "pa55word", **options}
    async with mailing(server, **given) as channel:
        for _ in range(times):
            result = await channel.send(replace(OPS, image=image), NOW)
        return result


def test_a_mail_is_text_and_html_with_the_chart_and_a_fixed_id() -> None:
    server = MailServer()
    result = asyncio.run(send(server, times=2, image=b"\x89PNG\r\n\x1a\npicture"))
    assert result.answer is Answer.DONE
    assert len(server.taken) == 2
    first, second = (email.message_from_bytes(raw, policy=email.policy.default) for raw in server.taken)
    assert first["Subject"] == OPS.title
    assert first["Message-ID"] == second["Message-ID"]
    kinds = [part.get_content_type() for part in first.walk()]
    assert {"text/plain", "text/html", "image/png"} <= set(kinds)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"": "554 no mail from you"}, (Answer.RETRY, Cause.SERVER)),
        ({"EHLO": "421 busy", "HELO": "421 busy"}, (Answer.RETRY, Cause.SERVER)),
        ({"AUTH": "535 no"}, (Answer.RETRY, Cause.AUTH)),
        ({"MAIL": "451 later"}, (Answer.RETRY, Cause.SERVER)),
        ({"MAIL": "530 who are you"}, (Answer.RETRY, Cause.AUTH)),
        ({"MAIL": "550 5.7.1 not with this sender"}, (Answer.RETRY, Cause.AUTH)),
        ({"MAIL": None}, (Answer.RETRY, Cause.NETWORK)),
        ({"RCPT": "550 5.1.1 unknown"}, (Answer.PERMANENT, Cause.NO_CONTACT)),
        ({"RCPT": "550 5.7.1 blocked"}, (Answer.PERMANENT, Cause.REJECTED)),
        ({"RCPT": "451 4.7.1 grey list"}, (Answer.RETRY, Cause.REJECTED)),
        ({"RCPT": "452 4.2.2 full"}, (Answer.RETRY, Cause.REJECTED)),
        ({"RCPT": "421 closing"}, (Answer.RETRY, Cause.SERVER)),
        ({"DATA": "451 later"}, (Answer.RETRY, Cause.SERVER)),
        ({"DATA": "554 no valid recipients"}, (Answer.PERMANENT, Cause.REJECTED)),
        ({"END": "450 slow down"}, (Answer.RETRY, Cause.RATE)),
        ({"END": "552 too large"}, (Answer.PERMANENT, Cause.TOO_LARGE)),
        ({"END": "554 spam"}, (Answer.PERMANENT, Cause.REJECTED)),
        ({"END": None}, (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
        ({"END": "what?"}, (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
        ({"END": "250 " + "x" * 9_000}, (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
    ],
)
def test_every_answer_has_its_class(
    answers: Mapping[str, str | None], expected: tuple[Answer, Cause]
) -> None:
    result = asyncio.run(send(MailServer(answers)))
    assert (result.answer, result.cause) == expected
    assert "pa55word" not in repr(result)


@pytest.mark.parametrize("goodbye", ["421 4.3.2 closing", "500 what", None, "what?"])
def test_what_is_said_after_the_mail_was_taken_changes_nothing(goodbye: str | None) -> None:
    server = MailServer({"QUIT": goodbye})
    assert asyncio.run(send(server)).answer is Answer.DONE
    assert len(server.taken) == 1


def test_who_of_several_receivers_has_no_mail_is_told_without_an_address() -> None:
    server = MailServer({"RCPT b@shop.example": "550 5.1.1 unknown"})
    with capture_logs() as logs:
        result = asyncio.run(send(server, to=["Ops <a@shop.example>", "b@shop.example", "c@shop.example"]))
    assert (result.answer, result.detail) == (Answer.DONE, "1 refused: 550")
    assert [(one["event"], one["places"], one["codes"]) for one in logs] == [
        ("mail.receivers_refused", [2], [550])
    ]
    assert "shop.example" not in repr(logs)
    mail = email.message_from_bytes(server.taken[0], policy=email.policy.default)
    assert str(mail["To"]) == "Ops <a@shop.example>, b@shop.example, c@shop.example"


def test_where_all_refuse_who_may_be_had_later_decides() -> None:
    server = MailServer({"RCPT": "550 5.1.1 unknown", "RCPT b@shop.example": "450 4.2.1 busy"})
    result = asyncio.run(send(server, to=["a@shop.example", "b@shop.example"]))
    assert (result.answer, result.detail) == (Answer.RETRY, "rcpt 450")
    assert "DATA" not in server.verbs


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("", (Answer.RETRY, Cause.NETWORK)),
        ("MAIL", (Answer.RETRY, Cause.NETWORK)),
        ("END", (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
        ("QUIT", (Answer.DONE, Cause.NONE)),
    ],
)
def test_a_server_that_drips_is_hung_up_on(verb: str, expected: tuple[Answer, Cause]) -> None:
    """Each step is within its own time; the whole is not. What comes after it leaves nothing behind."""

    async def run() -> None:
        server = MailServer({verb: DRIP})
        result = await send(server, deadline_seconds=0.4)
        assert (result.answer, result.cause) == expected
        await server.ended.wait()

    asyncio.run(run())


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("answers", "expected", "taken"),
    [
        ({}, (Answer.DONE, Cause.NONE), 1),
        ({"RCPT": DRIP}, (Answer.RETRY, Cause.NETWORK), 0),
        ({"END": DRIP}, (Answer.AMBIGUOUS, Cause.LOST_REPLY), 0),
    ],
)
def test_over_tls_it_is_the_same(
    tmp_path: Path,
    security: str,
    answers: Mapping[str, str],
    expected: tuple[Answer, Cause],
    taken: int,
) -> None:
    async def run() -> None:
        server = MailServer({**answers, "EHLO": "250-localhost\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"})
        server.certificate, trusted = certificate(tmp_path)
        result = await send(
            server, security=security, ca_file=str(trusted), deadline_seconds=1.0 if answers else 45.0
        )
        assert (result.answer, result.cause) == expected
        await server.ended.wait()
        assert len(server.taken) == taken

    asyncio.run(run())


def test_a_certificate_that_nobody_vouches_for_ends_it(tmp_path: Path) -> None:
    async def run() -> None:
        server = MailServer({"EHLO": "250-localhost\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"})
        server.certificate, _ = certificate(tmp_path)
        result = await send(server, security="starttls")
        assert (result.answer, result.cause) == (Answer.RETRY, Cause.NETWORK)
        assert not {"AUTH", "MAIL"} & set(server.verbs)

    asyncio.run(run())


def test_a_mail_that_has_not_begun_to_leave_when_the_daemon_stops_never_does() -> None:
    async def run() -> None:
        server = MailServer({"MAIL": DRIP})
        async with mailing(server) as channel:
            task = asyncio.create_task(channel.send(CUSTOMER, NOW))
            await server.dripped.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.ended.wait()
        assert server.mails == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "answer", "receiver"),
    [
        ("li.lei@example.com", Answer.DONE, "li.lei@example.com"),
        ("o'neil+late@mail.example", Answer.DONE, "o'neil+late@mail.example"),
        ("li@例子.cn", Answer.DONE, "li@xn--fsqu00a.cn"),
        ("li@straße.example", Answer.DONE, "li@xn--strae-oqa.example"),
        ("王@example.com", Answer.PERMANENT, None),
        ("x@[", Answer.PERMANENT, None),
        ("x@[127.0.0.1]", Answer.PERMANENT, None),
        ("x@例\u200b子..cn", Answer.PERMANENT, None),
        ('a"b@example.com', Answer.PERMANENT, None),
        ("a(b@example.com", Answer.PERMANENT, None),
        ("a..b@example.com", Answer.PERMANENT, None),
        ("a@" + "b" * 300 + ".com", Answer.PERMANENT, None),
        ("a", Answer.PERMANENT, None),
        ("", Answer.PERMANENT, None),
        (None, Answer.PERMANENT, None),
        ("a@b@example.com", Answer.PERMANENT, None),
        ("a@example.com, b@example.com", Answer.PERMANENT, None),
        ("a@example.com\r\nBcc: b@example.com", Answer.PERMANENT, None),
    ],
)
def test_a_customers_mail_goes_to_the_customer_and_nobody_else(
    address: str | None, answer: Answer, receiver: str | None
) -> None:
    async def run() -> None:
        server = MailServer()
        async with mailing(server, to=["ops@shop.example"]) as channel:
            result = await channel.send(replace(CUSTOMER, recipient=Contact(email=address)), NOW)
        assert result.answer is answer
        assert (result.cause is Cause.NO_CONTACT) == (receiver is None)
        mails = [email.message_from_bytes(raw, policy=email.policy.default) for raw in server.taken]
        assert [str(mail["To"]) for mail in mails] == ([receiver] if receiver else [])
        assert not any("ops@shop.example" in str(mail) for mail in mails)

    asyncio.run(run())


@pytest.mark.parametrize(
    "options", [{"to": ["王@shop.example"]}, {"to": ["x@["]}, {"sender": "王@shop.example"}]
)
def test_an_address_of_the_config_that_cannot_be_sent_to_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="no address that mail can be sent to"):
        SmtpOptions.model_validate({"host": "h", "sender": "care@shop.example", **options})


def test_a_long_link_and_a_long_thread_stay_whole_in_their_headers() -> None:
    """As the reader's mail program finds them, which decodes nothing in these headers."""

    async def run() -> None:
        server = MailServer()
        async with mailing(server, sender="care@customers.of.a-shop-with-a-long-name.example") as channel:
            message = replace(CUSTOMER, unsubscribe=LONG_HOST, thread="I7")
            assert (await channel.send(message, NOW)).answer is Answer.DONE
        head = server.taken[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
        assert f"List-Unsubscribe: <{LONG_HOST}>" in head
        assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
        (thread,) = [line for line in head if line.startswith("References: ")]
        assert re.fullmatch(
            r"References: <[0-9a-f]{32}@customers\.of\.a-shop-with-a-long-name\.example>", thread
        )

    asyncio.run(run())


@pytest.mark.parametrize(("locale", "hello"), [("zh-CN", "您好："), ("en", "Hello,")])
def test_a_customers_mail_is_a_letter_of_the_shop(locale: str, hello: str) -> None:
    async def run() -> None:
        server = MailServer()
        async with mailing(server, sender_name="某某商城") as channel:
            body = "<b>1001</b> & more\nsecond line"
            message = replace(CUSTOMER, locale=locale, body=body, unsubscribe="https://shop.example/u/1?a&b")
            assert (await channel.send(message, NOW)).answer is Answer.DONE
        mail = email.message_from_bytes(server.taken[0], policy=email.policy.default)
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
