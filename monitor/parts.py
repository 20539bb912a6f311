"""Parts of the checkpoint that are plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monitor.checkpoint import pack, unpack
from notifier.ledger import Head


@dataclass(frozen=True, slots=True)
class Plain:
    state: Callable[[], Any]
    restore: Callable[[Any], None]

    def dump(self) -> bytes:
        return pack(self.state())

    def load(self, data: bytes) -> None:
        self.restore(unpack(data))


@dataclass(slots=True)
class LedgerHead:
    """How far the ledger had come when it was looked at last: a store that knows less was restored, torn or replaced."""

    saved: Head | None = None

    def dump(self) -> bytes:
        return pack([self.saved.ledger, self.saved.seq] if self.saved else None)

    def load(self, data: bytes) -> None:
        found = unpack(data)
        self.saved = Head(*found) if found else None
