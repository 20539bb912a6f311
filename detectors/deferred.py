"""Evidence that is written out when somebody reads it: of a jam's thousands of findings most are only counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Deferred(Mapping[str, Any]):
    """What `write` answers for these arguments, which may depend only on what never changes: it is called once, at
    any later time, or never. Neither it nor they may lead back to what keeps the finding: the garbage collector does not
    look into findings, so nothing of such a ring would ever be given up.
    """

    __slots__ = ("_arguments", "_known", "_write")

    def __init__(self, write: Callable[..., dict[str, Any]], *arguments: Any) -> None:
        self._write = write
        self._arguments = arguments
        self._known: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._known is None:
            self._known = self._write(*self._arguments)
        return self._known

    def plain(self) -> dict[str, Any]:
        """As `dict(self)`, without asking for each name."""
        return dict(self._read())

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._read() == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._read())
