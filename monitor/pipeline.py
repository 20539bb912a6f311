"""From stream entries to durable decisions, in one place and one order.

    decode | directory.remember | engine.feed / engine.tick | facts.of | incidents.advance | policy.decide
        | ledger.claim_all | publish

It owns no loop and reads no clock: the daemon, `replay` and the tests drive it, and get the same decisions from the
same entries. Everything after the engine is idempotent, and what was known of an order is known again, so entries
that are taken again after a crash change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from config.policies import PolicyPack
from detectors.findings import Finding, Instant
from monitor.columns import Batch
from monitor.directory import Directory
from monitor.engine.order_rows import completed_without_parcel
from monitor.facts import PARCEL_LIKE, Facts
from monitor.incidents import Incidents, Transition
from monitor.patience import Asking, once
from monitor.policy import OrderFacts, decide
from notifier.actions import Decided, Proposal, Reason

CHUNK = 500


class Engine(Protocol):
    @property
    def live_parcels(self) -> int: ...

    def feed(self, batch: Batch) -> list[Finding]: ...
    def tick(self, now: Instant) -> list[Finding]: ...


class Ledger(Protocol):
    async def claim_all(self, proposals: Sequence[Proposal], now: Instant) -> list[Decided]: ...


class Notices(Protocol):
    """Turns transitions of incidents into alerts when they are due."""

    def advance(self, transitions: Sequence[Transition], now: Instant) -> Sequence[Proposal]: ...
    def answered(self, decisions: Sequence[Decided], now: Instant) -> None: ...
    def ask(self, decisions: Sequence[Decided], now: Instant) -> Sequence[Proposal]: ...


class Sink(Protocol):
    """Where what happened is told: metrics and stories in the daemon, files in `replay`."""

    async def findings(self, findings: Sequence[Finding]) -> None: ...
    async def decisions(self, decisions: Sequence[Decided]) -> None: ...
    async def retell(self, decisions: Sequence[Decided]) -> None:
        """Decisions of before a crash, which may have come before they were told."""
        ...

    async def transitions(self, transitions: Sequence[Transition]) -> None: ...


@dataclass(slots=True)
class Pipeline:
    directory: Directory
    facts: Facts
    engine: Engine
    incidents: Incidents
    notices: Notices
    pack: PolicyPack
    ledger: Ledger
    sink: Sink
    now: Instant = 0
    ask: Asking = once
    recovering: bool = False  # what is taken was taken before: claims may be there, and their stories not

    async def take(self, batch: Batch) -> None:
        await self.ask(lambda: self._remember(batch))
        await self._act(self.engine.feed(batch), self.now)

    async def tick(self, now: Instant) -> None:
        self.now = max(self.now, now)
        await self._act(self.engine.tick(self.now), self.now, settle=True)

    async def learn(self, batch: Batch) -> None:
        """History that nothing is done about: what is usual, and what is still open afterwards."""
        await self._remember(batch)
        self.engine.feed(batch)

    async def _remember(self, batch: Batch) -> None:
        """And asks which parcels are over, as their customers confirmed receipt of the order."""
        await self.directory.remember(batch)
        if wanted := completed_without_parcel(batch.orders):
            batch.parcels = await self.directory.parcels_of(wanted)

    def learn_tick(self, now: Instant) -> None:
        self.now = max(self.now, now)
        self.engine.tick(self.now)

    async def _act(self, findings: Sequence[Finding], now: Instant, *, settle: bool = False) -> None:
        if not findings and not settle:
            return
        facts = await self.ask(lambda: self.facts.of(findings, now))
        amounts = {
            one.finding_id: (known.amount, known.currency or "")
            for one in findings
            if (known := facts.get(one.finding_id)) is not None and known.amount is not None
        }
        transitions = self.incidents.advance(findings, now, amounts)
        for start in range(0, len(findings), CHUNK):
            await self._decide(findings[start : start + CHUNK], facts, now)
        await self.ask(lambda: self.sink.findings(findings))
        await self.tell(transitions, now)

    async def tell(self, transitions: Sequence[Transition], now: Instant) -> None:
        """Alerts that are due, as claims. Between what the notification log knows and its claim nobody may checkpoint."""
        if transitions:
            await self.sink.transitions(transitions)
        decided = await self._claim(self.notices.advance(transitions, now), now)
        self.notices.answered(decided, now)

    async def _decide(
        self, findings: Iterable[Finding], facts: Mapping[str, OrderFacts], now: Instant
    ) -> None:
        proposals: list[Proposal] = []
        for finding in findings:
            if finding.subject.type not in PARCEL_LIKE:
                continue  # ops hear of places through incidents, once for many findings
            held_back, incident = _held_back(finding), self.incidents.incident_of(finding.finding_id)
            known = facts.get(finding.finding_id)
            judged = decide(finding, known, self.pack, now, held_back=held_back, incident_id=incident)
            proposals += judged.proposals
        decided = await self._claim(proposals, now)
        # Repeated ones as well: a crash may have come between the claim and the question.
        await self._claim(self.notices.ask(decided, now), now)

    async def _claim(self, proposals: Sequence[Proposal], now: Instant) -> list[Decided]:
        if not proposals:
            return []
        tries = 0

        async def claim() -> list[Decided]:
            nonlocal tries
            tries += 1
            return await self.ledger.claim_all(proposals, now)

        decided = await self.ask(claim)
        # After a lost reply our own claims come back as repeated.
        fresh = [one for one in decided if not one.repeated or (tries > 1 and one.decided_at == now)]
        await self.ask(lambda: self.sink.decisions(fresh))
        if self.recovering:
            await self.ask(lambda: self.sink.retell([one for one in decided if one.repeated]))
        return decided


def _held_back(finding: Finding) -> Reason | None:
    """Places that are jammed or silenced keep ops quiet, never a customer's apology; history and silent feeds do."""
    if finding.evidence.get("history"):
        return Reason.HISTORY
    if finding.evidence.get("learning"):
        return Reason.LEARNING
    return None
