"""Evidence that is written when somebody reads it."""

from __future__ import annotations

from typing import Any

from detectors.deferred import Deferred


def test_it_is_written_once_and_only_when_it_is_read() -> None:
    written: list[str] = []

    def write(name: str) -> dict[str, Any]:
        written.append(name)
        return {"facility": name}

    evidence = Deferred(write, "hub-1")
    assert written == []
    assert evidence["facility"] == "hub-1"
    assert evidence == {"facility": "hub-1"}
    assert {**evidence, "more": 1} == {"facility": "hub-1", "more": 1}
    assert evidence.get("nothing") is None
    assert written == ["hub-1"]
