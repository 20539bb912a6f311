"""The time and the secret that a whole daemon and its stand-in share in tests."""

from __future__ import annotations

SECRET = "a-secret-of-the-test"
MORNING = 1_773_277_200_000  # Thursday 2026-03-12 09:00 in Shanghai


class Clock:
    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> int:
        return self.now
