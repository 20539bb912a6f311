"""The audit log: every change of state of a claim, and what else people change, chained, so that what was altered, lost
or moved shows.

An entry's body is JSON: seq, at, event, and as they apply id, about, outcome, reason, amount, cur, who, why, from. No
customer is named in it; an action's id leads to its record. `verify` recomputes the chain, every record's keyed checksum, and
every budget from the claims.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from notifier.actions import Outcome, Proposal
from notifier.identity import Identity
from notifier.ledger import Claim, Ledger, Person, script
from notifier.sending import Instant
from notifier.store import Store

PAGE: Final = 1000
MOST_PROBLEMS: Final = 100
ERASED: Final = "erased"  # instead of a name
LOOKS: Final = 3
DECIDING: Final = frozenset({"claimed", "approve", "reject", "expire", "found", "erased"})


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the log."""

    entry_id: str
    body: Mapping[str, Any]
    raw: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class Receiver:
    customer_id: str
    amount: int
    coupons: int
    actions: int


class _Logged(NamedTuple):
    """Of one claim: when it was decided, and what the log said of it last."""

    claimed_at: Instant
    outcome: str


class Audit:
    def __init__(self, store: Store, ledger: Ledger, identity: Identity) -> None:
        self._store = store
        self._ledger = ledger
        self._identity = identity
        self._erase = script("erase")

    async def records(self, after: str = "0") -> AsyncIterator[Record]:
        """From the oldest on; `after` is an entry id."""
        stream = self._ledger.key("audit")
        while True:
            page = await self._store.stream_range(stream, f"({after}" if after != "0" else "-", "+", PAGE)
            for entry in page:
                raw, chained = entry.get(b"body") or b"", entry.get(b"hash") or b""
                yield Record(entry.id, _body(raw), raw, chained.decode())
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def verify(self) -> list[str]:
        """What is wrong, in words; empty where all holds. Reads everything: for `doctor`, not for every minute.

        The ledger goes on meanwhile. Where it moved, it is looked at again, and what no other look finds is not said.
        """
        lasting: dict[str, list[str]] = {}
        for look in range(LOOKS):
            before = await self._moves()
            found = await self._look()
            lasting = {about: said for about, said in found.items() if not look or about in lasting}
            if await self._moves() == before:
                lasting = found
            if lasting is found or not lasting:
                break
        return [f"{about}: {one}" for about, said in lasting.items() for one in said][:MOST_PROBLEMS]

    async def _moves(self) -> dict[str, bytes]:
        """Whatever changes a claim's decision or a budget changes this."""
        return await self._store.hash_all(self._ledger.key("chain"))

    async def _look(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        logged = await self._verify_chain(found)
        seen = await self._verify_claims(found, logged)
        await self._verify_budgets(found, seen)
        return found

    async def _verify_chain(self, found: dict[str, list[str]]) -> dict[str, _Logged]:
        logged: dict[str, _Logged] = {}
        base, base_hash = await self._store.hash_get_many(self._ledger.key("chain"), ["base", "base_hash"])
        previous, seq = (base_hash or b"").decode(), int(base or 0)
        async for record in self.records():
            expected = hashlib.sha1(previous.encode() + record.raw, usedforsecurity=False).hexdigest()
            if record.hash != expected:
                found[f"audit entry {record.entry_id}"].append("the chain breaks here")
            if record.body.get("seq") != seq + 1:
                found[f"audit entry {record.entry_id}"].append(f"entry {seq + 1} is missing")
            previous, seq = record.hash, int(record.body.get("seq", seq + 1))
            if record.body.get("event") in DECIDING and record.body.get("outcome"):
                action_id, at = str(record.body.get("id")), int(record.body.get("at", 0))
                first = at if record.body["event"] == "claimed" else 0  # 0: its beginning has been trimmed
                first = logged[action_id].claimed_at if action_id in logged else first
                logged[action_id] = _Logged(first, str(record.body["outcome"]))
        head = await self._ledger.head()
        if head.seq != seq:
            found["audit log"].append(f"it ends at {seq}, the ledger is at {head.seq}")
        return logged

    async def _verify_claims(self, found: dict[str, list[str]], logged: Mapping[str, _Logged]) -> set[str]:
        seen: set[str] = set()
        async for claim in self._ledger.all():
            seen.add(claim.action_id)
            if not claim.checksum_holds:
                found[claim.action_id].append("the record is not the one that was claimed")
            known = logged.get(claim.action_id)
            said = known.outcome if known is not None else None
            if said != claim.outcome:
                found[claim.action_id].append(f"the log says {said}, the claim {claim.outcome}")
        retired = int(await self._store.hash_get(self._ledger.key("chain"), "retired") or 0)
        for action_id, one in logged.items():
            if action_id not in seen and one.claimed_at >= retired:
                found[action_id].append("in the log, not in the ledger")
        return seen

    async def _verify_budgets(self, found: dict[str, list[str]], action_ids: set[str]) -> None:
        counted = {
            key: await self._counted(key) async for key in self._store.keys("ledger", "*", "budget", "*")
        }
        sums: dict[str, int] = defaultdict(int)
        ids = sorted(action_ids)
        for start in range(0, len(ids), PAGE):
            commands = [
                ("HMGET", self._ledger.key("action", one), "money", "budgets")
                for one in ids[start : start + PAGE]
            ]
            for money, names in await self._store.run(commands, atomic=False):
                for name in (names or b"").decode().split():
                    sums[name] += int(money)
        for key in sorted(counted.keys() | sums.keys()):
            before, now = counted.get(key, 0), await self._counted(key)
            if before == now != sums[key]:  # one that moves while it is summed up agrees with no sum
                found[key].append(f"{now} is counted, {sums[key]} is reserved or spent")

    async def _counted(self, key: str) -> int:
        return int(await self._store.get(key) or 0)

    # Reports

    async def receivers(self, since: Instant, limit: int = 20) -> list[Receiver]:
        """Who got most, in money: where abuse shows first. Those who were erased have no name to be counted under."""
        found: dict[str, Receiver] = {}
        async for claim in self._ledger.all(since):
            customer = claim.proposal.customer_id
            if customer in {None, ERASED} or claim.outcome is not Outcome.SEND or claim.state == "failed":
                continue
            one = found.get(customer, Receiver(customer, 0, 0, 0))
            found[customer] = replace(
                one,
                amount=one.amount + claim.reserved,
                coupons=one.coupons + bool(claim.coupon_code),
                actions=one.actions + 1,
            )
        return sorted(found.values(), key=lambda one: (-one.amount, -one.actions, one.customer_id))[:limit]

    # A customer's own data

    async def export(self, customer_id: str) -> dict[str, Any]:
        """All that the ledger knows of a customer, as JSON values."""
        pseudonym = self._identity.pseudonym(customer_id)
        consent = await self._store.hash_all(self._ledger.key("consent", pseudonym))
        claims = [_exported(claim) for claim in await self._of(pseudonym)]
        return {
            "customer_id": customer_id,
            "consent": {name: value.decode() for name, value in sorted(consent.items())},
            "actions": sorted(claims, key=lambda one: (one["decided_at"], one["action_id"])),
        }

    async def erase(self, customer_id: str, person: Person, now: Instant) -> tuple[int, list[str]]:
        """How many actions lost the name, and which could not: they are being sent or wait to be resolved. What was
        decided and paid stays in the books; consent and caps stay, under a keyed pseudonym, as a refusal must.
        """
        erased, left = 0, []
        pseudonym = self._identity.pseudonym(customer_id)
        for claim in await self._of(pseudonym):
            nameless = msgspec.json.encode(_nameless(claim.proposal))
            done = await self._store.script(
                self._erase,
                [self._ledger.key()],
                claim.action_id,
                now,
                nameless,
                person.who,
                person.why,
                person.source,
            )
            erased += int(done)
            if not done:
                left.append(claim.action_id)
        if not left:
            await self._store.delete(self._ledger.key("of", pseudonym))
        return erased, left

    async def _of(self, pseudonym: str) -> list[Claim]:
        ids = await self._store.set_members(self._ledger.key("of", pseudonym))
        return await self._ledger.claims(sorted(one.decode() for one in ids))


def _nameless(proposal: Proposal) -> Proposal:
    return replace(
        proposal,
        subject=ERASED,
        customer_id=ERASED,
        order_id=None,
        tracking_number=None,
        variables={},
        evidence={},
        contact_hashes=(),
        timezone=None,
    )


def _exported(claim: Claim) -> dict[str, Any]:
    proposal = claim.proposal
    return {
        "action_id": claim.action_id,
        "kind": str(proposal.kind),
        "subject": proposal.subject,
        "order_id": proposal.order_id,
        "decided_at": claim.decided_at,
        "decision": str(claim.outcome),
        "reason": str(claim.reason),
        "arm": str(claim.arm) if claim.arm else None,
        "amount": proposal.amount,
        "currency": proposal.currency,
        "coupon_code": claim.coupon_code,
        "template": proposal.template,
        "state": claim.state,
        "sent_at": claim.sent_at,
        "evidence": dict(proposal.evidence),
    }


def _body(raw: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
