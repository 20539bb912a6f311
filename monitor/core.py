"""What decides, built once for the daemon and for `replay`: names, engine, incidents, policy, ledger and their pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from detectors.findings import Instant, Kind
from monitor.assembly import (
    acknowledging,
    approvers_of,
    desk_of,
    ledger_rules,
    messages_a_minute,
    pack_of,
    region_tables,
)
from monitor.checkpoint import CheckpointError
from monitor.decode import Decoder
from monitor.directory import Directory
from monitor.embedded import EmbeddedStore
from monitor.engine import Engine, dumping
from monitor.facts import Facts
from monitor.incidents import Incidents
from monitor.loop import LargePart, Part
from monitor.names import Names
from monitor.notices import Notices
from monitor.notifications import Notifications
from monitor.parts import Plain
from monitor.pipeline import Pipeline, Sink
from notifier.actions import Proposal
from notifier.identity import Identity
from notifier.ledger import Ledger
from notifier.store import Store


@dataclass(slots=True)
class Core:
    """What decides: the same in the daemon and in `replay`."""

    names: Names
    decoder: Decoder
    directory: Directory
    engine: Engine
    incidents: Incidents
    notifications: Notifications
    ledger: Ledger
    pipeline: Pipeline
    notices: Notices
    since: Instant = 0  # when its memory begins: what was decided before may be of parcels that it never knew

    def is_open(self, proposal: Proposal, decided_at: Instant) -> bool | None:
        """Whether the episode behind a proposal still is; None where its subject is no parcel, or one that went with a
        memory that was lost.
        """
        if proposal.tracking_number is None:
            return None
        if (
            proposal.evidence.get("kind") == Kind.SIGNATURE_SUSPECT
        ):  # kept beside the parcels, which are delivered
            known = self.incidents.incident_of(proposal.finding_id) is not None
            return known or self._never_was(decided_at)
        view = self.engine.parcel(proposal.tracking_number)
        if view is None:
            return self._never_was(decided_at)
        return any(one.finding_id == proposal.finding_id for one in view.findings)

    def _never_was(self, decided_at: Instant) -> bool | None:
        """Of what is not known: False where it would be, had it still been."""
        return None if decided_at < self.since else False

    def parts(self) -> Mapping[str, Part | LargePart]:
        """What a checkpoint holds, in the order in which it is loaded."""
        return {
            "engine": EnginePart(self.engine),
            "incidents": Plain(self.incidents.state, self.incidents.restore),
            "notifications": Plain(self.notifications.state, self.notifications.restore),
            "since": Plain(lambda: self.since, self._begin),
        }

    def _begin(self, since: Instant) -> None:
        self.since = since


def build_core(settings: Settings, store: Store, sink: Sink, key: bytes) -> Core:
    pack = pack_of(settings)
    names = Names()
    engine = Engine(
        settings.engine, settings.detection, names, timezone=settings.timezone, tables=region_tables()
    )
    identity = Identity(key)
    directory = Directory(store, identity.contact_hashes)
    incidents = Incidents(settings.incidents)
    notifications = Notifications(
        settings.notify, settings.incidents.escalation, messages_a_minute(settings), acknowledging(settings)
    )
    ledger = Ledger(store, identity, ledger_rules(settings, pack.currency))
    desk = desk_of(settings, pack.fingerprint)
    notices = Notices(
        incidents,
        notifications,
        desk,
        approvers_of(settings),
        settings.notify.locale,
        lambda: ledger.rules.two_above,
        lambda: ledger.rules.shadow,
    )
    pipeline = Pipeline(
        directory,
        Facts(directory, timezone=settings.timezone),
        engine,
        incidents,
        notices,
        pack,
        ledger,
        sink,
    )
    decoder = Decoder(names, max_event_bytes=settings.intake.max_event_bytes)
    return Core(names, decoder, directory, engine, incidents, notifications, ledger, pipeline, notices)


@asynccontextmanager
async def scratch_store(folder: Path) -> AsyncIterator[Store]:
    """A real store that nobody needs afterwards: nothing is written to the disk."""
    embedded = EmbeddedStore(folder, allow_unsafe_folder=True)
    await embedded.start()
    try:
        async with Store(embedded.url) as store:
            await store.call("CONFIG", "SET", "appendonly", "no")
            yield store
    finally:
        await embedded.stop()


@dataclass(frozen=True, slots=True)
class EnginePart:
    engine: Engine

    def copying(self) -> Generator[None, None, Callable[[], bytes]]:
        return self.engine.copying()

    def check(self, data: bytes) -> None:
        try:
            dumping.unseal(data)
        except dumping.DumpError as error:
            raise CheckpointError(str(error)) from None

    def load(self, data: bytes) -> None:
        """Raises CheckpointError where the dump has no room in an engine of these settings."""
        try:
            self.engine.load(data)
        except dumping.DumpError as error:
            raise CheckpointError(str(error)) from None
