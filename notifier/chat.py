"""What chat channels share: a message as lines of the chat's own dialect, within the chat's own limit.

Ops bodies are a small Markdown (paragraphs, `- ` lists, `**bold**`); a dialect says how a chat writes these. Limits
are in bytes of the request or in characters, by provider. `whole` tells whether a message fits, so that it can be
split before (`notifier.parts`). What still does not fit is dropped from the end of the body with "+N more": the title,
the reason and the links stay.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from notifier.http import Http, Reply, classify, json_bytes
from notifier.sending import Answer, Cause, Instant, Message, SendResult

Judge: TypeAlias = Callable[[Reply], SendResult]
COLOURS: Mapping[str, str] = {
    "critical": "#c62828",
    "warning": "#ef6c00",
    "info": "#1565c0",
    "resolved": "#2e7d32",
}
LEARNT = 20_000  # characters: more than a language has
ROOMY = 1 << 30  # as a room: nothing is cut
TITLE = 300
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_WHY = {"zh-CN": "发送原因", "en": "Sent because"}
_MORE = {"zh-CN": "……另有 {} 行，见控制台", "en": "… +{} more, see the console"}
_OPEN = {"zh-CN": "查看", "en": "Open"}
DONE = SendResult(Answer.DONE)
LOST = SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="body")


def clean(text: str) -> str:
    """Without control and bidirectional characters: they can hide what a message says."""
    return text.replace("\r\n", "\n").translate(_CLEAN)


class _Clean(dict[int, int | None]):
    """Learns of each character once: texts are long, and most of them are the same few."""

    def __missing__(self, code: int) -> int | None:
        char = chr(code)
        hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"} and char not in "\n\t\u200d"
        kept = None if hidden else code
        if len(self) < LEARNT:
            self[code] = kept
        return kept


_CLEAN = _Clean()


def size(text: str) -> int:
    return len(text.encode())


def cut(text: str, limit: int, measure: Callable[[str], int] = size) -> str:
    """At most `limit` bytes (or what `measure` counts), never half a character."""
    if measure(text) <= limit:
        return text
    if limit < 3:
        return ""
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) + 3 <= limit else (low, middle - 1)
    return text[:low] + "…"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a chat writes text that must not become markup, bold, a link, a title, and how it ends a line."""

    escape: Callable[[str], str] = lambda text: text
    bold: Callable[[str], str] = lambda text: f"**{text}**"
    link: Callable[[str, str], str] = lambda label, url: f"[{label}]({url})"
    title: Callable[[str], str] = lambda text: f"### {text}"
    newline: str = "\n"
    bullet: str = "- "

    def inline(self, text: str) -> str:
        parts = _BOLD.split(text)
        return "".join(
            self.bold(self.escape(part)) if index % 2 else self.escape(part)
            for index, part in enumerate(parts)
        )


def neutral(text: str) -> str:
    """For Markdown dialects that cannot escape: what could mention, link or embed becomes its harmless twin."""
    return text.translate(_NEUTRAL)


_NEUTRAL = str.maketrans({"<": "‹", ">": "›", "[": "［", "]": "］", "@": "＠", "`": "'", "#": "＃", "|": "¦"})
BULLET = "• "  # for chats whose markup knows no lists
MARKDOWN = Dialect(escape=neutral)
PLAIN = Dialect(bullet=BULLET, bold=str, link=lambda label, url: f"{label}: {url}", title=str)
SLACK = Dialect(
    bullet=BULLET,
    escape=lambda text: html.escape(text, quote=False),
    bold=lambda text: f"*{text}*",
    link=lambda label, url: f"<{url}|{label}>",
    title=lambda text: f"*{text}*",
)
HTML = Dialect(
    bullet=BULLET,
    escape=html.escape,
    bold=lambda text: f"<b>{text}</b>",
    link=lambda label, url: f'<a href="{html.escape(url)}">{label}</a>',
    title=lambda text: f"<b>{text}</b>",
)


def body_lines(message: Message, dialect: Dialect) -> list[str]:
    return [
        dialect.bullet + dialect.inline(line[2:]) if line.startswith("- ") else dialect.inline(line)
        for line in clean(message.body).splitlines()
    ]


def field_lines(message: Message, dialect: Dialect) -> list[str]:
    return [
        f"{dialect.bold(dialect.escape(one_line(name)))}: {dialect.escape(one_line(value))}"
        for name, value in message.fields
    ]


def why_line(message: Message, dialect: Dialect) -> str:
    why = one_line(message.why)
    return dialect.escape(f"{_WHY.get(message.locale, _WHY['en'])}: {why}") if why else ""


def open_label(message: Message) -> str:
    return _OPEN.get(message.locale, _OPEN["en"])


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def link_line(message: Message, dialect: Dialect, *, buttons: bool) -> str:
    links = [dialect.link(dialect.escape(button.label), button.url) for button in message.buttons if buttons]
    if message.link:
        links.append(dialect.link(open_label(message), message.link))
    return " · ".join(links)


def compose(
    message: Message,
    dialect: Dialect,
    limit: int,
    *,
    measure: Callable[[str], int] = size,
    title: bool = True,
    buttons: bool = True,
) -> str:
    """The whole message as one text of at most `limit`."""
    head = (
        [dialect.title(dialect.escape(cut(one_line(message.title), min(TITLE, max(40, limit // 8)))))]
        if title
        else []
    )
    tail = [
        line for line in (why_line(message, dialect), link_line(message, dialect, buttons=buttons)) if line
    ]
    rows = [
        cut(row, max(60, limit // 4))
        for row in (*field_lines(message, dialect), "", *body_lines(message, dialect))
    ]
    return _fit(head, rows, tail, dialect, limit, measure, message.locale)


def _fit(
    head: list[str],
    rows: list[str],
    tail: list[str],
    dialect: Dialect,
    limit: int,
    measure: Callable[[str], int],
    locale: str,
) -> str:
    def text(kept: int) -> str:
        more = [] if kept == len(rows) else [_MORE.get(locale, _MORE["en"]).format(len(rows) - kept)]
        return dialect.newline.join([*head, *rows[:kept], *more, *tail])

    low, high = 0, len(rows)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text(middle)) <= limit else (low, middle - 1)
    whole = text(low)
    while measure(whole) > limit and tail:  # links can be longer than a small limit
        tail = tail[:-1]
        whole = text(low)
    return cut(whole, limit, measure)


def fit(build: Callable[[int], Any], start: int, limit: int) -> bytes:
    """The request as JSON of at most `limit` bytes: quoting makes it longer than its text, so it is tried."""
    room = start
    while True:
        body = json_bytes(build(room))
        if len(body) <= limit or room < 200:
            return body
        room = room * 3 // 4


def whole(build: Callable[[int], Any], start: int, limit: int) -> bool:
    """Whether `fit` would send all of it: with all the room there is, the request is the same and within `limit`."""
    everything = build(ROOMY)
    return len(json_bytes(everything)) <= limit and build(start) == everything


def multipart(boundary: str, parts: Sequence[tuple[str, str, bytes]]) -> tuple[str, bytes]:
    """Content type and body of a form; a part is its disposition (`name="photo"; filename=...`), its type (may be
    empty) and its bytes.
    """
    body = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n"
        % (
            boundary.encode(),
            disposition.encode(),
            b"Content-Type: %s\r\n" % kind.encode() if kind else b"",
            data,
        )
        for disposition, kind, data in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + b"--%s--\r\n" % boundary.encode()


def boundary(key: str) -> str:
    """Of a form: the same for the same message, so that a retry is the same request."""
    return "forestall-" + hashlib.blake2b(key.encode(), digest_size=12).hexdigest()


async def post(
    http: Http,
    url: str,
    body: bytes,
    now: Instant,
    judge: Judge,
    headers: Mapping[str, str] | None = None,
    judged: Container[int] = (),
) -> SendResult:
    """Send once. `judge` reads the body of a 2xx, as chat providers say their errors there, and of a status in `judged`."""
    reply = await http.request(
        "POST", url, headers={"content-type": "application/json; charset=utf-8", **(headers or {})}, body=body
    )
    if isinstance(reply, SendResult):
        return reply
    result = classify(reply, now)
    return judge(reply) if result.answer is Answer.DONE or reply.status in judged else result


def coded(
    reply: Reply, field: str, table: Mapping[int, tuple[Answer, Cause, float | None]], also: str = ""
) -> SendResult:
    """Of a provider that answers 200 with a code: 0 is done, an unknown code is a refusal."""
    answer = reply.object()
    code = answer.get(field, answer.get(also) if also else None)
    if not isinstance(code, int) or isinstance(code, bool):
        return LOST
    if code == 0:
        return DONE
    kind, cause, wait = table.get(code, (Answer.PERMANENT, Cause.REJECTED, None))
    return SendResult(kind, cause, wait, detail=str(code))
