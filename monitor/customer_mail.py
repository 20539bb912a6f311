"""What came about a customer and is in no table yet: dead letters, and events that wait for another push."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from detectors.findings import Instant
from monitor.deadletter import DeadLetters
from monitor.feeds.desk_letters import unpacked
from monitor.letters import Format, Letter
from monitor.records import when
from notifier.store import Store

Speaks = Callable[[bytes], bool]  # of the customer; see `monitor.mentions`


async def letters_about(store: Store, speaks: Speaks) -> list[Letter]:
    """Of a payload that was cut, by what is kept of it."""
    return [one async for one in DeadLetters(store).all() if speaks(one.raw) or speaks(_packed(one))]


async def events_about(store: Store, speaks: Speaks) -> list[tuple[str, str, bytes]]:
    """Of those that wait: the key, the field, the event."""
    return [one async for one in _waiting(store) if speaks(one[2])]


async def drop(store: Store, speaks: Speaks) -> tuple[int, int]:
    """How many letters and how many events went."""
    letters = [one.id for one in await letters_about(store, speaks)]
    dropped = await DeadLetters(store).delete(letters)
    events = await events_about(store, speaks)
    for key, field, _ in events:
        await store.hash_delete(key, field)
    return dropped, len(events)


def shown(letter: Letter) -> dict[str, Any]:
    at: Instant = letter.at
    payload = letter.raw.decode("utf-8", "replace")
    return {
        "id": letter.id,
        "at": when(at),
        "feed": letter.feed,
        "reason": str(letter.reason),
        "payload": payload,
    }


async def _waiting(store: Store) -> AsyncIterator[tuple[str, str, bytes]]:
    async for key in store.keys("feed", "*", "waits", "*"):
        for field, event in (await store.hash_all(key)).items():
            yield key, field, event


def _packed(letter: Letter) -> bytes:
    """The payload within, where it is no text."""
    if letter.format not in {Format.PUSH, Format.PAGE} or b'"base64":' not in letter.raw:
        return b""
    try:
        return unpacked(letter).raw
    except (LookupError, ValueError, TypeError):
        return b""
