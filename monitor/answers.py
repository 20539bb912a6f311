"""What people said of alerts, by rule: useful or noise. And which buttons were used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.findings import Instant
from monitor.metrics import Metrics
from notifier.store import Store

USEFUL: Final = "useful"
NOISE: Final = "noise"
TAKEN_MS: Final = 60_000


class Answers:
    """Counts are kept in the store, so that precision is of all time; the metric counts since the start."""

    def __init__(self, store: Store, metrics: Metrics | None = None) -> None:
        self._store = store
        self._metrics = metrics

    async def add(self, rule: str, *, useful: bool) -> None:
        answer = USEFUL if useful else NOISE
        await self._store.call("HINCRBY", self._store.key("answers"), f"{rule}:{answer}", 1)
        if self._metrics is not None:
            self._metrics.counter("answers").labels(rule=rule, answer=answer).inc()

    async def all(self) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for name, count in (await self._store.hash_all(self._store.key("answers"))).items():
            rule, _, answer = name.rpartition(":")
            found.setdefault(rule, {USEFUL: 0, NOISE: 0})[answer] = int(count)
        return {rule: found[rule] for rule in sorted(found)}

    async def take(self, nonce: str, now: Instant) -> bool:
        """Whether this button was not used before; taken for a minute, by the server in one step. Where what it asked for
        could not be done, it works again after that.
        """
        key = self._store.key("link", nonce)
        return await self._store.put(key, str(now), only_new=True, milliseconds=TAKEN_MS)

    async def free(self, nonce: str) -> None:
        """It was not all that this button is for: the next person may press it at once."""
        await self._store.call("DEL", self._store.key("link", nonce))

    async def use(self, nonce: str, expires_at: Instant, now: Instant) -> None:
        """It is done: remembered until the button expires."""
        key = self._store.key("link", nonce)
        await self._store.put(key, str(now), milliseconds=max(TAKEN_MS, expires_at - now))


def precision(counts: Mapping[str, int]) -> float | None:
    total = counts.get(USEFUL, 0) + counts.get(NOISE, 0)
    return counts.get(USEFUL, 0) / total if total else None
