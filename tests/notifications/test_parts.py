"""Long messages as several: nothing lost, nothing torn, never without end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from notifier.parts import MOST, split
from notifier.sending import Button, Message

WHOLE = Message(
    key="A1",
    title="t",
    body="",
    fields=(("a", "1"), ("b", "2")),
    buttons=(Button("x", "https://x"),),
    image_url="https://x/c.png",
    mention=("li",),
    why="first",
    link="https://x",
)
ROWS = st.lists(st.text("ab** é👩‍👧中、", max_size=80).map(lambda text: text.replace("\n", " ")), max_size=30)


def size(message: Message) -> int:
    """Of a chat with forty characters of head beside title, fields and body."""
    return (
        40
        + len(message.title)
        + sum(len(name) + len(value) for name, value in message.fields)
        + len(message.body)
    )


def fits(message: Message) -> bool:
    return size(message) <= 160


@given(ROWS)
def test_every_character_arrives_once_and_in_order(rows: list[str]) -> None:
    body = "\n".join(rows)
    parts = split(replace(WHOLE, body=body), fits, most=1_000)
    assert all(fits(part) for part in parts)

    def letters(text: str) -> str:
        return "".join(text.replace("*", "").split())

    said = "".join(part.body for part in parts)
    assert letters(said) == letters(body)
    assert len({part.key for part in parts}) == len(parts)


@given(ROWS)
def test_a_part_is_never_torn_within_a_sign_or_its_bold(rows: list[str]) -> None:
    body = "\n".join(row for row in rows if row.count("**") % 2 == 0)
    for part in split(replace(WHOLE, body=body), fits, most=1_000):
        for row in part.body.splitlines():
            assert row.count("**") % 2 == 0, row
            whole = row in body.splitlines()
            assert whole or not row.startswith(("\u200d", "\u0301"))


@given(ROWS, st.integers(1, MOST))
def test_there_are_never_more_than_asked_for(rows: list[str], most: int) -> None:
    assert len(split(replace(WHOLE, body="\n".join(rows * 20)), fits, most=most)) <= most


def test_what_a_reader_acts_on_is_in_the_first_part_alone() -> None:
    first, *others = split(replace(WHOLE, body="\n".join(["word " * 12] * 9)), fits)
    assert first.fields == WHOLE.fields
    assert (first.buttons, first.image_url, first.mention, first.why) == (
        WHOLE.buttons,
        WHOLE.image_url,
        WHOLE.mention,
        WHOLE.why,
    )
    assert others
    for other in others:
        assert (other.fields, other.buttons, other.image_url, other.mention, other.why) == (
            (),
            (),
            None,
            (),
            "",
        )
        assert other.link == WHOLE.link


def test_fields_that_do_not_fit_go_on_as_lines() -> None:
    many = replace(WHOLE, fields=tuple((f"n{n}", "v" * 20) for n in range(9)))
    parts = split(many, fits, most=50)
    said = [f"**{name}**: {value}" for name, value in parts[0].fields]
    said += [row for part in parts for row in part.body.splitlines()]
    assert said == [f"**{name}**: {value}" for name, value in many.fields]


def test_a_message_whose_head_alone_is_too_long_is_left_to_its_channel() -> None:
    long = replace(WHOLE, title="t" * 500, body="b")
    assert split(long, fits) == [long]
