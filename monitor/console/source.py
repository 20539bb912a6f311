"""What the console reads and does: one protocol, and the daemon behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from config.policies import PolicyPack
from config.settings import Settings
from detectors.findings import Instant
from monitor.api import Actor, Json
from monitor.incidents import Incidents, Silence, View
from monitor.notifications import Notifications


class Source(Protocol):
    def now(self) -> Instant: ...
    def people_now(self) -> Instant:
        """By the clock of those who look: their sign-in lasts hours of theirs, however fast the shop's days pass."""
        ...

    def settings(self) -> Settings: ...
    def policy(self) -> PolicyPack: ...
    def incidents(self) -> Sequence[View]:
        """Pending and firing."""
        ...

    def history(self) -> Sequence[View]: ...
    def incident(self, incident_id: str) -> View | None: ...
    def members(self, incident_id: str, limit: int, offset: int) -> Sequence[tuple[str, str, Instant]]:
        """Open findings: kind, subject ("parcel:SF1"), since."""
        ...

    def why_not(self, incident_id: str) -> tuple[Instant, str] | None: ...
    def silences(self) -> Sequence[Silence]: ...
    def preview(self, matchers: Sequence[str]) -> Sequence[View]:
        """Raises ValueError for a matcher that cannot be."""
        ...

    def held_counts(self) -> Mapping[str, int]: ...
    async def status(self) -> Json: ...
    async def explain(self, subject: str) -> Json | None: ...
    async def outbox(self, state: str | None) -> Sequence[Json]: ...
    async def dead_letters(self, count: int) -> Sequence[Json]: ...
    async def answers(self) -> Mapping[str, Mapping[str, int]]: ...
    async def command(self, name: str, arguments: Json, actor: Actor) -> Json: ...
    async def answer(self, rule: str, *, useful: bool, actor: Actor) -> None: ...
    async def take_link(self, nonce: str) -> bool: ...
    async def free_link(self, nonce: str) -> None: ...
    async def use_link(self, nonce: str, expires_at: Instant) -> None: ...


class Service(Protocol):
    """Of `monitor.api.Service`, what the console needs."""

    async def status(self) -> Json: ...
    async def explain(self, subject: str) -> Json | None: ...
    async def outbox(self, state: str | None) -> Sequence[Json]: ...
    async def dead_letters(self, count: int) -> Sequence[Json]: ...
    async def command(self, name: str, arguments: Json, actor: Actor) -> Json: ...
    async def audit(self, event: str, about: str, why: str, actor: Actor) -> None: ...


class Kept(Protocol):
    """`monitor.answers.Answers`."""

    async def add(self, rule: str, *, useful: bool) -> None: ...
    async def all(self) -> Mapping[str, Mapping[str, int]]: ...
    async def take(self, nonce: str, now: Instant) -> bool: ...
    async def free(self, nonce: str) -> None: ...
    async def use(self, nonce: str, expires_at: Instant, now: Instant) -> None: ...


@dataclass(frozen=True, slots=True)
class DaemonSource:
    """The running daemon as a `Source`."""

    service: Service
    book: Incidents
    notifications: Notifications
    kept: Kept
    current: Callable[[], Settings]
    pack: Callable[[], PolicyPack]
    clock: Callable[[], Instant]
    people: Callable[[], Instant] | None = (
        None  # of those who look, where the daemon's clock is a simulated world's
    )

    def now(self) -> Instant:
        return self.clock()

    def people_now(self) -> Instant:
        return (self.people or self.clock)()

    def settings(self) -> Settings:
        return self.current()

    def policy(self) -> PolicyPack:
        return self.pack()

    def incidents(self) -> Sequence[View]:
        return self.book.views()

    def history(self) -> Sequence[View]:
        return self.book.history()

    def incident(self, incident_id: str) -> View | None:
        return self.book.get(incident_id)

    def members(self, incident_id: str, limit: int, offset: int) -> Sequence[tuple[str, str, Instant]]:
        return [
            (member.kind.value, f"{member.subject.type}:{member.subject.id}", member.since)
            for _, member in self.book.members(incident_id, limit, offset)
        ]

    def why_not(self, incident_id: str) -> tuple[Instant, str] | None:
        held = self.notifications.why_not(incident_id)
        return (held[0], held[1].value) if held else None

    def silences(self) -> Sequence[Silence]:
        return self.book.silences.all()

    def preview(self, matchers: Sequence[str]) -> Sequence[View]:
        return self.book.preview(matchers)

    def held_counts(self) -> Mapping[str, int]:
        return {held.value: count for held, count in self.notifications.held_counts.items() if count}

    async def status(self) -> Json:
        return await self.service.status()

    async def explain(self, subject: str) -> Json | None:
        return await self.service.explain(subject)

    async def outbox(self, state: str | None) -> Sequence[Json]:
        return await self.service.outbox(state)

    async def dead_letters(self, count: int) -> Sequence[Json]:
        return await self.service.dead_letters(count)

    async def answers(self) -> Mapping[str, Mapping[str, int]]:
        return await self.kept.all()

    async def command(self, name: str, arguments: Json, actor: Actor) -> Json:
        return await self.service.command(name, arguments, actor)

    async def answer(self, rule: str, *, useful: bool, actor: Actor) -> None:
        await self.service.audit("answer", rule, "useful" if useful else "noise", actor)
        await self.kept.add(rule, useful=useful)

    async def take_link(self, nonce: str) -> bool:
        return await self.kept.take(nonce, self.clock())

    async def free_link(self, nonce: str) -> None:
        await self.kept.free(nonce)

    async def use_link(self, nonce: str, expires_at: Instant) -> None:
        await self.kept.use(nonce, expires_at, self.clock())
