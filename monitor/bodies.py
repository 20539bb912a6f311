"""The bytes of a request, never more than may come: of one body, and of all bodies that nobody has vouched for yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request


class TooLarge(Exception):  # noqa: N818 - the answer to a request, not a failure
    """The body is over the limit."""


async def bounded_body(request: Request, most: int) -> bytes:
    """Raises `TooLarge`, where possible before a byte is read, and starlette's `ClientDisconnect`."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


class NoRoom(Exception):  # noqa: N818 - the answer to a request, not a failure
    """Too much is on its way in at once; it may come again."""


class Share:
    """What one request holds of a room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held = 0

    def take(self, size: int) -> None:
        """Raises `NoRoom`."""
        if self._room.held + size > self._room.most:
            raise NoRoom(NoRoom.__doc__)
        self._room.held += size
        self.held += size


class Room:
    """Counted as the bytes come, not as they are announced: who announces much and sends nothing takes none of it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held
