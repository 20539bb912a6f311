"""Asking the shop what it has: after a restore before anything is spent, and each night for the books.

After a restore the ledger may have forgotten coupons that were paid. Their codes are at the shop and nowhere here; they
are kept, and the claim that comes again (the engine replays from its checkpoint) finds its own code among them, on hold
as well: it is done, its money is counted, and the words about it are `unknown` rather than sent twice. So is a claim that
was there before the shop was asked (it came again on hold, or the copy is from before its sending) and never attempted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notifier.actions import ActionKind, Outcome
from notifier.identity import PREFIX
from notifier.ledger import Claim, Ledger, Person, script
from notifier.sending import Channel, CouponProvider, Instant, Message, Trace, Traceable
from notifier.store import Store

SYSTEM: Final = "forestall"
BATCH: Final = 500
GONE: Final = frozenset({"failed", "none"})
UNASKED: Final = frozenset({"held", "pending"})
DAY_MS: Final = 86_400_000
ASKED_FOR_MS: Final = 3 * DAY_MS
WORD: Final[Mapping[Trace, str]] = {
    Trace.DONE: "done",
    Trace.FAILED: "failed",
    Trace.ABSENT: "retry",
    Trace.UNANSWERED: "unknown",
}


@dataclass(frozen=True, slots=True)
class Books:
    """What the shop and the ledger say of each other. `missing` and `unpaid` should be empty."""

    at_shop: int
    unknown_to_us: int  # codes at the shop that no claim has or had, and that no look before found
    missing: tuple[str, ...]  # actions: done here, not at the shop
    unpaid: tuple[str, ...]  # actions: at the shop, but given up or refused here
    found: tuple[str, ...] = ()  # actions: at the shop before we ever asked for them; done now


class Reconciler:
    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        coupons: Mapping[str, CouponProvider],
        channels: Mapping[str, Channel],
        sent_as: Callable[[Claim], Awaitable[Message | None]] | None = None,
    ) -> None:
        """`sent_as` composes again what a claim said; None where its receiver is not known any more."""
        self._sent_as = sent_as
        self._store = store
        self._ledger = ledger
        self._coupons = coupons
        self._channels = channels
        self._known = script("known")
        self._found = script("found")

    async def daily(self, now: Instant) -> Books | None:
        """As `shop`, once a day by the clock, as a daemon may be started anew more often than that; None: it is not time."""
        done = self._store.key("books-compared")
        if 0 <= now - int(await self._store.get(done) or 0) < DAY_MS:
            return None
        books = await self.shop(now)
        await self._store.put(done, now)
        return books

    async def shop(self, now: Instant) -> Books:
        """Compares all codes, keeps those that we do not know, and closes claims whose code is there already. Raises
        `CouponsUnavailableError` where a shop does not list them all: then nothing may be released.
        """
        at_shop: dict[str, set[str]] = {}
        for name, provider in self._coupons.items():
            at_shop[name] = {code async for code in provider.codes(PREFIX, now)}
        ours: set[str] = set()
        missing, unpaid, found = [], [], []
        async for claim in self._ledger.all():
            if claim.proposal.kind is not ActionKind.COUPON or claim.coupon_code is None:
                continue
            ours.add(claim.coupon_code)
            there = claim.coupon_code in at_shop.get(claim.proposal.channel, set())
            settled = (
                claim.sent_at is not None and claim.sent_at < now
            )  # sent since we asked: it cannot be in the list
            if claim.state == "done" and not there and settled and not _over(claim, now):
                missing.append(claim.action_id)
            if there and claim.state in UNASKED and await self._is_found(claim, now):
                found.append(claim.action_id)
            elif there and (claim.state in GONE or claim.outcome is not Outcome.SEND):
                unpaid.append(claim.action_id)
        strange = await self._new(sorted(set().union(*at_shop.values()) - ours))
        for start in range(0, len(strange), BATCH):
            await self._store.script(
                self._known,
                [self._ledger.key()],
                now,
                SYSTEM,
                "found at the shop",
                "reconcile",
                *strange[start : start + BATCH],
            )
        total = sum(len(codes) for codes in at_shop.values())
        return Books(total, len(strange), tuple(missing), tuple(unpaid), tuple(found))

    async def _new(self, codes: Sequence[str]) -> list[str]:
        """Those that are not known already: from a look before, or of a claim that is too old to be kept."""
        found: list[str] = []
        for start in range(0, len(codes), BATCH):
            some = codes[start : start + BATCH]
            known = await self._store.call("SMISMEMBER", self._ledger.key("codes"), *some)
            found += [code for code, is_known in zip(some, known, strict=True) if not is_known]
        return found

    async def _is_found(self, claim: Claim, now: Instant) -> bool:
        return bool(
            await self._store.script(
                self._found,
                [self._ledger.key()],
                claim.action_id,
                now,
                SYSTEM,
                "at the shop already",
                "reconcile",
            )
        )

    async def unknowns(self, now: Instant, *, older_ms: int = 60_000) -> dict[str, int]:
        """Asks the provider about every `unknown` that is old enough: done, failed, sent again where it certainly was
        not taken, or still unknown; after three days it is left to a person. How many of each.
        """
        ids = await self._store.sorted_range(self._ledger.key("unknown"), now - ASKED_FOR_MS, now - older_ms)
        counts = {"done": 0, "failed": 0, "retry": 0, "unknown": 0}
        for claim in await self._ledger.claims([one.decode() for one in ids]):
            word = WORD[await self._asked(claim, now)]
            if word != "unknown":
                person = Person(SYSTEM, "the provider was asked", "reconcile")
                await self._ledger.resolve(claim.action_id, word, person, now)
            counts[word] += 1
        return counts

    async def _asked(self, claim: Claim, now: Instant) -> Trace:
        name = claim.proposal.channel
        if claim.proposal.kind is ActionKind.COUPON:
            provider = self._coupons.get(name)
            if provider is None or claim.coupon_code is None:
                return Trace.UNANSWERED
            found = await provider.find(claim.coupon_code, now)
            return Trace.UNANSWERED if found is None else Trace.DONE if found else Trace.ABSENT
        channel: object = self._channels.get(name)
        if not isinstance(channel, Traceable) or self._sent_as is None or not claim.began_at:
            return Trace.UNANSWERED
        message = await self._sent_as(claim)
        return Trace.UNANSWERED if message is None else await channel.trace(message, claim.began_at, now)


def _over(claim: Claim, now: Instant) -> bool:
    """Shops may drop what nobody can use any more."""
    return claim.decided_at + claim.proposal.coupon_days * DAY_MS < now
