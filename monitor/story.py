"""What `explain` and the console tell of a subject: each finding and each decision about it, kept some months.

A record's field is its identity, so a replay after a crash writes the same fields again and nothing twice. An order's
story is that of its parcels, too. A story that goes on for ever, of a place or a customer, loses what is older than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from detectors.findings import Finding, Instant
from monitor.directory import remember_parcel
from monitor.records import action_record, finding_record
from monitor.subjects import kind_and_id
from notifier.actions import Decided
from notifier.store import Pipeline, Script, Store

KEPT_MS: Final = 90 * 86_400_000
ENDING: Final = ("parcel:", "order:")  # their stories come to an end, and are nearly all there are
SHORT: Final = 32  # records: nothing is taken out of a story before it has more
_PUT: Final = Script.load(Path(__file__).with_name("story_put.lua"))
Record: TypeAlias = Mapping[str, Any]


class Story:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def findings(self, findings: Iterable[Finding]) -> None:
        pipe = self._store.pipeline(atomic=False)
        for finding in findings:
            subject = f"{finding.subject.type}:{finding.subject.id}"
            identity = f"{finding.finding_id}:{finding.state}"
            self._put(pipe, subject, finding.as_of, identity, {"what": "finding", **finding_record(finding)})
            pipe.call("SET", self._store.key("subject", finding.finding_id), subject, "PX", KEPT_MS)
        await pipe.run()

    async def decisions(self, decisions: Iterable[Decided]) -> None:
        pipe = self._store.pipeline(atomic=False)
        for decided in decisions:
            record = action_record(decided)
            identity = f"{record['action_id']}:{decided.outcome}:{decided.reason}"
            self._put(
                pipe, decided.proposal.subject, decided.decided_at, identity, {"what": "action", **record}
            )
            kind, number = kind_and_id(decided.proposal.subject)
            if kind == "parcel" and decided.proposal.order_id:
                remember_parcel(self._store, pipe, decided.proposal.order_id, number)
            pipe.call(
                "SET",
                self._store.key("subject", record["action_id"]),
                decided.proposal.subject,
                "PX",
                KEPT_MS,
            )
        await pipe.run()

    async def of(self, given: str) -> list[tuple[str, list[Record]]]:
        """Subjects and their records, oldest first; by subject ("parcel:SF1"), bare number, finding or action id. Of an
        order also its parcels, also those of which nothing was found.
        """
        subject, records = await self._first(given)
        kind, number = kind_and_id(subject or given)
        found = [(subject, records)] if records else []
        if kind not in {"", "order"}:
            return found
        parcels = await self._store.set_members(self._store.key("parcels", number))
        subjects = sorted(f"parcel:{one.decode()}" for one in parcels)
        return found + [(one, await self.records(one)) for one in subjects]

    async def _first(self, given: str) -> tuple[str, list[Record]]:
        """Of the subjects that may be meant, the one of which something is known; else none."""
        for subject in await self._subjects(given):
            if records := await self.records(subject):
                return subject, records
        return "", []

    async def records(self, subject: str) -> list[Record]:
        """Of one subject ("parcel:SF1"), oldest first."""
        fields = await self._store.hash_all(self._store.key("story", subject))
        return sorted((msgspec.json.decode(fields[name]) for name in sorted(fields)), key=_moment)

    async def _subjects(self, given: str) -> list[str]:
        if kind_and_id(given)[0]:
            return [given]
        known = await self._store.get(self._store.key("subject", given))
        return [known.decode()] if known else [f"{kind}:{given}" for kind in ("parcel", "order", "customer")]

    def _put(
        self, pipe: Pipeline, subject: str, at: Instant, identity: str, record: Mapping[str, Any]
    ) -> None:
        key, field = self._store.key("story", subject), f"{at:015d}:{identity}"
        value = msgspec.json.encode(record)
        if subject.startswith(ENDING):
            pipe.call("HSET", key, field, value)
            pipe.call("PEXPIRE", key, KEPT_MS)
        else:
            oldest = f"{max(0, at - KEPT_MS):015d}"
            pipe.digested(_PUT, [key], field, value, KEPT_MS, oldest, SHORT)


def _moment(record: Record) -> tuple[str, bool]:
    """A finding stands before what was decided about it in the same moment."""
    decided = record["what"] == "action"
    return str(record["decided_at" if decided else "as_of"]), decided
