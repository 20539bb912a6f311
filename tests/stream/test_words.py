"""Eight bytes at a time says what one byte at a time says, up to the last byte of the array."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.words import copy_text, hash_text, is_ascii, is_utf8, quote_or_slash, same_text, word_at

TEXTS = st.binary(max_size=40)


def array(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(data, np.uint8)


@given(TEXTS, st.integers(0, 40), st.integers(0, 8))
def test_a_word_is_the_bytes_that_are_there(data: bytes, place: int, count: int) -> None:
    place = min(place, len(data))
    expected = int.from_bytes(data[place : place + count], "little")
    assert int(word_at(array(data).ctypes.data, len(data), place, count)) == expected


@given(st.lists(st.sampled_from(b'ab"\\\xa2\xdc\x23\x5d'), max_size=40).map(bytes), st.integers(0, 40))
def test_the_first_quote_or_backslash_is_found(data: bytes, place: int) -> None:
    place = min(place, len(data))
    expected = next((at for at in range(place, len(data)) if data[at] in b'"\\'), len(data))
    assert quote_or_slash(array(data).ctypes.data, place, len(data)) == expected


@given(TEXTS, st.integers(0, 8), st.data())
def test_texts_are_the_same_wherever_they_lie(text: bytes, before: int, draw: st.DataObject) -> None:
    one, other = array(text), array(b"x" * before + text)
    assert same_text(one.ctypes.data, len(one), 0, other.ctypes.data, len(other), before, len(text))
    assert hash_text(one.ctypes.data, len(one), 0, len(text)) == hash_text(
        other.ctypes.data, len(other), before, before + len(text)
    )
    if text:
        changed = bytearray(text)
        changed[draw.draw(st.integers(0, len(text) - 1))] ^= 1
        third = array(bytes(changed))
        assert not same_text(one.ctypes.data, len(one), 0, third.ctypes.data, len(third), 0, len(text))


@given(TEXTS, st.integers(0, 40))
def test_ascii_is_noticed(data: bytes, size: int) -> None:
    size = min(size, len(data))
    assert is_ascii(array(data).ctypes.data, size) == data[:size].isascii()


def as_python_decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(
    st.lists(st.text(max_size=3).map(str.encode) | st.binary(max_size=2), max_size=8).map(b"".join),
    st.integers(0, 9),
)
def test_utf8_is_what_python_decodes(data: bytes, start: int) -> None:
    start = min(start, len(data))
    found = is_utf8(array(data).ctypes.data, len(data), start, len(data))
    assert found == as_python_decodes(data[start:])


def test_every_short_text_is_utf8_where_python_decodes_it() -> None:
    edges = (
        0x00,
        0x7F,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBF,
        0xC0,
        0xC1,
        0xC2,
        0xDF,
        0xE0,
        0xE1,
        0xEC,
        0xED,
        0xEE,
        0xEF,
    )
    for first in range(256):
        for more in (
            (),
            *product(edges),
            *product(edges, edges),
            *product(edges, edges, (0x7F, 0x80, 0xBF, 0xC0)),
        ):
            data = bytes((first, *more))
            assert is_utf8(array(data).ctypes.data, len(data), 0, len(data)) == as_python_decodes(data), data


@given(TEXTS, st.integers(0, 40))
def test_a_text_is_copied(data: bytes, place: int) -> None:
    place = min(place, len(data))
    out = np.full(len(data) - place + 8, 7, np.uint8)
    copy_text(array(data).ctypes.data, len(data), place, out.ctypes.data, len(data) - place)
    assert out[: len(data) - place].tobytes() == data[place:]
