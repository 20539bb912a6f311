"""Where what happened is told: metrics and stories in the daemon, files in `replay`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from detectors.findings import Finding, State
from monitor.incidents import Transition, records
from monitor.metrics import Metrics
from monitor.minor import to_major
from monitor.records import action_record, finding_record
from monitor.story import Story
from notifier.actions import Decided, Outcome
from notifier.delivery import Sent


class LiveSink:
    def __init__(self, metrics: Metrics, story: Story) -> None:
        self._metrics = metrics
        self._story = story

    async def findings(self, findings: Sequence[Finding]) -> None:
        if not findings:
            return
        await self._story.findings(
            findings
        )  # first: where it fails it is told again, and nothing was counted
        counter = self._metrics.counter("findings")
        for finding in findings:
            counter.labels(detector=finding.detector, kind=finding.kind, state=finding.state).inc()

    async def decisions(self, decisions: Sequence[Decided]) -> None:
        if not decisions:
            return
        await self._story.decisions(decisions)
        counter = self._metrics.counter("actions")
        for decided in decisions:
            proposal = decided.proposal
            labels = {
                "kind": proposal.kind,
                "decision": decided.outcome,
                "reason": decided.reason,
                "arm": decided.arm or "",
            }
            counter.labels(**labels).inc()
            if decided.outcome is Outcome.SEND and proposal.amount:
                amount, currency = proposal.amount, proposal.currency
                self._metrics.counter("spent_minor_units").labels(currency=currency).inc(amount)
                self._metrics.counter("spent").labels(currency=currency).inc(to_major(amount, currency))

    async def retell(self, decisions: Sequence[Decided]) -> None:
        """Not counted again: the counters of before the crash died with it."""
        await self._story.decisions(decisions)

    async def transitions(self, transitions: Sequence[Transition]) -> None:
        for change in transitions:
            self._metrics.counter("incident_transitions").labels(reason=change.reason).inc()


def deliveries_to(metrics: Metrics) -> Callable[[Sent], None]:
    def observe(sent: Sent) -> None:
        answer = sent.result.answer if sent.result else sent.verdict.state
        cause = sent.result.cause if sent.result else sent.verdict.reason
        metrics.counter("deliveries").labels(channel=sent.channel, answer=answer, cause=cause).inc()

    return observe


class FileSink:
    """The files of `replay`: one JSON object a line, sorted by time, the same bytes for the same input."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[int, int, bytes]]] = {
            "findings": [],
            "actions": [],
            "incidents": [],
        }
        self.counts: dict[str, Counter[str]] = {
            "findings": Counter(),
            "actions": Counter(),
            "incidents": Counter(),
        }

        self.delays: defaultdict[str, list[float]] = defaultdict(
            list
        )  # hours from beginning to opening, by kind

    async def findings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self.counts["findings"][f"{finding.kind}:{finding.state}"] += 1
            self._add("findings", finding.as_of, finding_record(finding))
            if finding.state is State.OPENED:
                self.delays[str(finding.kind)].append((finding.opened_at - finding.started_at) / 3_600_000)

    async def decisions(self, decisions: Sequence[Decided]) -> None:
        for decided in decisions:
            self.counts["actions"][f"{decided.proposal.kind}:{decided.outcome}:{decided.reason}"] += 1
            self._add("actions", decided.decided_at, action_record(decided))

    async def retell(self, decisions: Sequence[Decided]) -> None:
        """A replay has no crash behind it."""

    async def transitions(self, transitions: Sequence[Transition]) -> None:
        for change in transitions:
            for line in records([change]):
                self.counts["incidents"][f"{line['kind']}:{line['state']}"] += 1
                self._add("incidents", change.at, line)

    def write(self, out: Path, summary: Mapping[str, Any]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        for name, lines in self._lines.items():
            text = b"".join(line for _, _, line in sorted(lines))
            _replace(out / f"{name}.ndjson", text)
        _replace(out / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")

    def _add(self, name: str, moment: int, record: Mapping[str, Any]) -> None:
        lines = self._lines[name]
        lines.append((moment, len(lines), msgspec.json.encode(record) + b"\n"))


def _replace(path: Path, text: bytes) -> None:
    temporary = path.with_suffix(path.suffix + ".writing")
    temporary.write_bytes(text)
    temporary.replace(path)
