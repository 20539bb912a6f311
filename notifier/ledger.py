"""The ledger: one script decides each claim, reserves its money and queues its entry, or records the no.

    exists? -> kill switch -> opt-out, consent -> compensated already, caps -> holdout -> budgets
        -> hold, breaker, approval -> written: claim, reservations, outbox entry, audit chain

A claim is for ever (400 days, longer than an order can be compensated): asked again, it answers as before, whatever
the policy, the limits or the clock say by then. In shadow mode everything is decided, with caps and budgets of a
shadow's own, and nothing is queued. Amounts are integer minor units.
"""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from notifier.actions import Decided, Proposal, Reason
from notifier.claiming import DAY_MS, Claiming, decided
from notifier.claims import (
    Budget,
    Claim,
    Head,
    Person,
    Rules,
    SecondPersonNeededError,
    read_claim,
)
from notifier.identity import Identity
from notifier.paging import pages
from notifier.scripts import script
from notifier.sending import Instant
from notifier.store import Store, StoreRefusedError

__all__ = [
    "DAY_MS",
    "Budget",
    "Claim",
    "Head",
    "Ledger",
    "Person",
    "Rules",
    "SecondPersonNeededError",
    "script",
]

SECOND_WITHIN_MS: Final = DAY_MS


class Ledger:
    def __init__(self, store: Store, identity: Identity, rules: Rules) -> None:
        self._store = store
        self._identity = identity
        self._rules = rules
        self._zone = ZoneInfo(rules.timezone)
        self._root = store.key("ledger")
        self._claiming = Claiming(identity, self._root, store.key("opted-out"))
        self._decide = script("decide")
        self._switch = script("switch")
        self._agree = script("agree")
        self._consent = script("consent")
        self._resolve = script("resolve")
        self._note = script("note")
        self._loaded = False

    @property
    def rules(self) -> Rules:
        return self._rules

    def reload(self, rules: Rules) -> None:
        """New limits for new claims; what is decided stays decided."""
        self._rules, self._zone = rules, ZoneInfo(rules.timezone)

    def key(self, *parts: str | int) -> str:
        return ":".join((self._root, *map(str, parts)))

    def intact(self, record: bytes, checksum: bytes) -> bool:
        return checksum.decode() == self._identity.checksum(record)

    # Start

    async def open(self, saved: Head | None, now: Instant) -> Head:
        """Called once at the start. A store that knows less than the saved head (restored, torn, replaced, failed over
        to an old replica) goes into hold: nothing is spent until the shop has been asked which codes exist.
        """
        head = await self.head()
        if not head.ledger:  # asked first: a full store refuses what only may write
            await self._store.call("HSETNX", self.key("chain"), "id", secrets.token_hex(8))
            head = await self.head()
        if saved is not None and (saved.ledger != head.ledger or saved.seq > head.seq):
            await self.hold(Person("forestall", "the store knows less than the checkpoint", "start"), now)
            head = await self.head()
        return head

    async def head(self) -> Head:
        got = await self._store.hash_get_many(self.key("chain"), ["id", "seq"])
        return Head((got[0] or b"").decode(), int(got[1] or 0))

    # Claims

    async def claim(self, proposal: Proposal, now: Instant) -> Decided:
        return (await self.claim_all([proposal], now))[0]

    async def claim_all(self, proposals: Sequence[Proposal], now: Instant) -> list[Decided]:
        """In order, in one round trip: a coupon stands before the message that depends on it. Where the reply is lost
        it raises, and asking again is safe.
        """
        commands = self._claiming.commands(proposals, self._rules, now)
        answers = itertools.chain.from_iterable(await self._run(commands)) if commands else ()
        return [decided(proposal, answer, now) for proposal, answer in zip(proposals, answers, strict=True)]

    async def _run(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        if not self._loaded:
            await self._store.call("SCRIPT", "LOAD", self._claiming.script.text)
            self._loaded = True
        try:
            return await self._store.run(commands, atomic=False)
        except StoreRefusedError as error:
            if error.code != "NOSCRIPT":
                raise
        # A new server behind the same address. Some of the pipeline may have run: claims are idempotent.
        await self._store.call("SCRIPT", "LOAD", self._claiming.script.text)
        return await self._store.run(commands, atomic=False)

    async def get(self, action_id: str) -> Claim | None:
        fields = await self._store.hash_all(self.key("action", action_id))
        return self._read(action_id, fields) if "outcome" in fields else None

    async def claims(self, action_ids: Sequence[str]) -> list[Claim]:
        """Those that exist, in the order asked for."""
        if not action_ids:
            return []
        commands = [("HGETALL", self.key("action", one)) for one in action_ids]
        found = await self._store.run(commands, atomic=False)
        readable = [
            (one, {name.decode(): value for name, value in fields.items()})
            for one, fields in zip(action_ids, found, strict=True)
        ]
        return [self._read(one, fields) for one, fields in readable if "outcome" in fields]

    async def of_customer(self, customer_id: str) -> list[Claim]:
        """All that was decided about a customer, oldest first; nothing of who was erased."""
        ids = await self._store.set_members(self.key("of", self._identity.pseudonym(customer_id)))
        claims = await self.claims(sorted(one.decode() for one in ids))
        return sorted(claims, key=lambda claim: (claim.decided_at, claim.action_id))

    async def all(self, since: Instant = 0, until: Instant | None = None) -> AsyncIterator[Claim]:
        """By time of decision, page by page; what is retired meanwhile hides nothing else."""
        async for ids in pages(self._store, self.key("actions"), since, until):
            for claim in await self.claims(ids):
                yield claim

    def _read(self, action_id: str, fields: Mapping[str, bytes]) -> Claim:
        return read_claim(action_id, fields, self._identity.checksum(fields["p"]))

    # A person's word

    async def approve(self, action_id: str, person: Person, now: Instant) -> str:
        """`done`, `absent`, `not_held` or `expired` (then it is rejected: too old to be welcome); above `two_above`
        also `second_needed` for the first who says so, and `same_person` where that one says it again.
        """
        return await self._word(action_id, "approve", person, now)

    async def reject(self, action_id: str, person: Person, now: Instant) -> str:
        return await self._word(action_id, "reject", person, now)

    async def held(self) -> list[Claim]:
        ids = await self._store.call("ZRANGE", self.key("held"), 0, -1)
        return await self.claims([one.decode() for one in ids])

    async def expire(self, now: Instant) -> list[Decided]:
        """What is held, and was to be given or said before `now`, is no longer wanted: `suppressed`, its money and caps go
        back, with the words that wait for it. Nothing while all is on hold. Those that it ended, words included.
        """
        system = Person("forestall", "nobody decided in time", "expiry")
        held = await self.held()
        over = [one for one in held if one.proposal.expires_at is not None and one.proposal.expires_at < now]
        if not over or "hold" in await self.switches():
            return []
        for claim in over:
            await self._word(claim.action_id, "expire", system, now)
        ended = await self.claims([claim.action_id for claim in held])
        return [
            Decided(claim.proposal, claim.outcome, claim.reason, now, claim.arm, claim.coupon_code)
            for claim in ended
            if claim.state == "none" and claim.reason is Reason.EXPIRED
        ]

    async def untold(self) -> list[Claim]:
        """Alerts of the last two days that were given up before anything of them was said."""
        ids = await self._store.call("ZRANGE", self.key("untold"), 0, -1)
        return await self.claims([one.decode() for one in ids])

    async def _word(self, action_id: str, word: str, person: Person, now: Instant, only: str = "") -> str:
        limits = (self._rules.two_above, person.identity, self._rules.approval_above)
        said = (person.who, person.why, person.source, only, *limits)
        answer: bytes = await self._store.script(self._decide, [self._root], action_id, word, now, *said)
        return answer.decode()

    async def _agreed(self, what: str, person: Person, now: Instant) -> None:
        if self._rules.two_above <= 0 or not await self._store.hash_all(self.key("switch")):
            return
        said = (person.who, person.why, person.source)
        arguments = (what, person.identity, now, SECOND_WITHIN_MS, *said)
        answer: bytes = await self._store.script(self._agree, [self._root], *arguments)
        if answer != b"agreed":
            raise SecondPersonNeededError(answer.decode())

    async def hold(self, person: Person, now: Instant) -> bool:
        """Nothing that costs or speaks to customers leaves; claims wait, held. False where it was on already."""
        return await self._turn("hold", "on", person, now)

    async def release(
        self, person: Person, now: Instant, trust: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        """Ends hold and breaker, and lets go what they held; how many. Not what waits for approval, nor what would have
        waited for it had it not been held already: that waits for it now. Raises
        `SecondPersonNeededError` where the rules ask for two people; the first one's word holds for a day.
        `trust` ends the doubt behind the hold, once it is decided and while it is still on: another look at the doubt
        would bring it back.
        """
        await self._agreed("release", person, now)
        if trust is not None:
            await trust()
        await self._turn("hold", "off", person, now)
        await self._turn("breaker", "off", person, now)
        released = 0
        for claim in sorted(await self.held(), key=lambda one: one.proposal.depends_on is not None):
            if claim.reason in {Reason.HOLD, Reason.BREAKER}:
                word = await self._word(claim.action_id, "approve", person, now, str(claim.reason))
                released += word in {"done", "not_held"}  # not held any more: went along with its coupon
        return released

    async def kill(self, person: Person, now: Instant) -> bool:
        return await self._turn("kill", "on", person, now)

    async def revive(self, person: Person, now: Instant) -> bool:
        """Turns the kill switch off. Raises `SecondPersonNeededError` as `release` does."""
        await self._agreed("revive", person, now)
        return await self._turn("kill", "off", person, now)

    async def switches(self) -> dict[str, Instant]:
        """Which of kill, hold and breaker are on, and since when."""
        found = await self._store.hash_all(self.key("switch"))
        return {name: int(float(value)) for name, value in found.items()}

    async def _turn(self, name: str, to: str, person: Person, now: Instant) -> bool:
        return bool(
            await self._store.script(
                self._switch, [self._root], name, to, now, person.who, person.why, person.source
            )
        )

    async def resolve(self, action_id: str, word: str, person: Person, now: Instant) -> bool:
        """Ends an `unknown`: `done`, `failed`, or `retry` (send it once more; also words that failed, but never a
        failed coupon, whose money has gone back). False where the entry is in no such state.
        """
        if word not in {"done", "failed", "retry"}:
            raise ValueError(f"{word!r} is not done, failed or retry")
        return bool(
            await self._store.script(
                self._resolve, [self._root], action_id, word, now, person.who, person.why, person.source
            )
        )

    async def note(self, event: str, about: str, person: Person, now: Instant) -> None:
        """Into the audit log: what a person did that changes no claim. `about` is what it was done to."""
        said = (event, about, now, person.who, person.why, person.source)
        await self._store.script(self._note, [self._root], *said)

    # Consent

    async def consent(
        self,
        customer_id: str,
        purpose: str,
        *,
        allowed: bool,
        now: Instant,
        source: str,
        text_version: str,
        who: str,
    ) -> None:
        """`purpose` is service, offer or all (only a refusal of all means anything)."""
        pseudonym = self._identity.pseudonym(customer_id)
        await self._store.script(
            self._consent,
            [self._root, self.key("consent", pseudonym)],
            purpose,
            "in" if allowed else "out",
            now,
            source,
            text_version,
            pseudonym,
            who,
        )

    async def opt_out(self, pseudonym: str, now: Instant, source: str) -> None:
        """A customer's own no to everything, by a link that carries the pseudonym. Twice is once."""
        key = self.key("consent", pseudonym)
        if await self._store.hash_get(key, "all") != b"out":
            arguments = ("all", "out", now, source, "", pseudonym, "customer")
            await self._store.script(self._consent, [self._root, key], *arguments)

    async def refuses(self, customer_id: str, purpose: str) -> Reason | None:
        """Asked again at sending: somebody may have opted out since the claim."""
        pseudonym = self._identity.pseudonym(customer_id)
        consent, opted = await self._store.run(
            [
                ("HMGET", self.key("consent", pseudonym), "all", purpose),
                ("SISMEMBER", self._store.key("opted-out"), customer_id),
            ],
            atomic=False,
        )
        if opted or b"out" in consent:
            return Reason.OPTED_OUT
        if self._rules.explicit_consent and purpose == "offer" and consent[1] != b"in":
            return Reason.NO_CONSENT
        return None

    # Money

    async def budgets(self, currency: str, now: Instant) -> dict[str, Budget]:
        """Of the current month and day."""
        local = datetime.fromtimestamp(now / 1000, self._zone)
        base = ("shadow" if self._rules.shadow else "live", "budget", currency)
        names = {
            "month": (self.key(*base, "month", f"{local:%Y-%m}"), self._rules.budget_tenant),
            "day": (self.key(*base, "day", f"{local:%Y-%m-%d}"), self._rules.budget_day),
        }
        values = await self._store.call("MGET", *(name for name, _ in names.values()))
        return {
            scope: Budget(int(value or 0), max(0, limit - int(value or 0)) if limit else math.inf)
            for (scope, (_, limit)), value in zip(names.items(), values, strict=True)
        }

    async def counts(self) -> dict[str, int]:
        """Actions by state: none, held, waiting, pending, sending, done, failed, unknown."""
        found = await self._store.hash_all(self.key("counts"))
        return {name: int(value) for name, value in found.items()}

    async def withdrawn(self) -> int:
        """Of those that failed, how many were given up because they were no longer wanted."""
        return int(await self._store.get(self.key("withdrawn")) or 0)

    async def oldest_due(self) -> Instant | None:
        """When the oldest entry that waits for delivery was or will be due."""
        queues = sorted(await self._store.set_members(self.key("queues")))
        commands = [("ZRANGE", self.key("due", name.decode()), 0, 0, "WITHSCORES") for name in queues]
        found = await self._store.run(commands, atomic=False) if commands else []
        return min((int(score) for entries in found for _, score in entries), default=None)
