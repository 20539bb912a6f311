"""Delivery: takes what is due, asks once more whether it should still go, sends it once, and writes what came of it.

    lease -> still wanted? -> awake? -> a slot? -> begin (the trace) -> send -> done | retry | failed | unknown

A message that takes several posts (`notifier.posts`) goes through this once for each, with a slot and a trace of its own.
Delivery owns every retry, rate and deadline. A coupon is always safe to ask for again, as its code is its own; a
message only where the channel drops repeated keys. Where it does not and the reply was lost, the entry is `unknown`,
is looked up if the provider can be asked, and is by default not sent again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from notifier.actions import ActionKind, Reason
from notifier.compose import Composer, coupon_of
from notifier.ledger import Ledger
from notifier.mistakes import tell
from notifier.outbox import Entry, Outbox, Verdict
from notifier.pacing import SECOND, Backoff, Pacer, QuietHours
from notifier.posts import Plan, Reference, References, plan
from notifier.said import fingerprint
from notifier.sending import Answer, Cause, Channel, Contact, CouponProvider, Instant, Message, SendResult
from notifier.store import StoreError
from notifier.templates import TemplateProblemError, Templates
from notifier.told import Left, Told

log = structlog.get_logger(__name__)
Recheck = Callable[[Entry, Instant], Awaitable[Reason | None]]
Contacts = Callable[[str | None, str | None], Awaitable[Contact | None]]
FINAL: Final[Mapping[Cause, Reason]] = {
    Cause.OPTED_OUT: Reason.OPTED_OUT,
    Cause.NO_CONTACT: Reason.NO_CONTACT,
    Cause.NO_CONSENT: Reason.NO_CONSENT,
}
LONG: Final = 5_000
# A coupon keeps the hours of its words: given at night, it would stand unsaid where the parcel comes before the morning.
APOLOGIES: Final = frozenset({ActionKind.MESSAGE, ActionKind.COUPON})
BUSY: Final = frozenset({Cause.RATE, Cause.RECIPIENT_RATE})
TOLD_REST: Final = 60_000  # milliseconds: a shorter one is the usual ebb of a provider
RESTING: Final = frozenset({Cause.RATE, Cause.NETWORK, Cause.SERVER, Cause.AUTH})


class Sender(Protocol):
    """What channels and coupon shops have in common here."""

    name: str


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    quiet: QuietHours = field(default_factory=QuietHours)
    backoff: Backoff = field(default_factory=Backoff)
    lease_ms: int = 90_000  # until another may take over what a dead worker had: longer than an exchange
    exchange_seconds: float = 75.0  # all its requests; what is not answered by then is a lost reply
    concurrency: int = 32
    per_channel: int = 8  # at once: one that hangs must not hold up the others
    poison_after: int = 20  # attempts that ended with our own failure
    resend_unknown: bool = False  # rather twice than never; ops alerts once more at most


@dataclass(frozen=True, slots=True)
class Sent:
    """One step of delivery, for metrics and the story of an action. No personal data."""

    entry: Entry
    channel: str
    verdict: Verdict
    result: SendResult | None  # None where nothing was sent
    now: Instant


class Delivery:
    """`start`, then `run_once` again and again; `drain` at shutdown. Every method but these is internal."""

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        templates: Templates,
        channels: Mapping[str, Channel],
        coupons: Mapping[str, CouponProvider],
        *,
        recheck: Recheck,
        contacts: Contacts,
        rules: DeliveryRules | None = None,
        observe: Callable[[Sent], None] | None = None,
        decorate: Callable[[Entry, Message], Awaitable[Message]] | None = None,
        references: References | None = None,
        told: Told | None = None,
        unsubscribe: Callable[[str], str] | None = None,
        clock: Callable[[], Instant] | None = None,
    ) -> None:
        """`clock` tells when an answer came: what it asks to wait counts from there. None: when the entry was leased."""
        self._outbox = outbox
        self._ledger = ledger
        self._composer = Composer(ledger, templates, unsubscribe)
        self._channels = channels
        self._coupons = coupons
        self._recheck = recheck
        self._contacts = contacts
        self._rules = rules or DeliveryRules()
        self._observe = observe or (lambda _: None)
        self._decorate = decorate
        self._references = references
        self._told = told
        self._clock = clock
        if both := channels.keys() & coupons.keys():
            raise ValueError(f"a channel and a coupon shop share a name: {', '.join(sorted(both))}")
        longest = int(self._rules.backoff.longest * SECOND)
        self._pacers = {name: Pacer(one.limits, longest) for name, one in channels.items()}
        self._pacers |= {name: Pacer(one.limits, longest) for name, one in coupons.items()}
        self._tasks: dict[asyncio.Task[None], tuple[str, Instant]] = {}  # of which entry, leased when
        self._busy: Counter[str] = Counter()
        self._failure: BaseException | None = None

    async def start(self) -> None:
        await self._outbox.take_over()

    async def run_once(self, now: Instant) -> int:
        """Starts what is due, as far as there is room, and returns how many; it waits for none of them. An error of
        the store inside an attempt is raised here, at the next call; the entry comes back when its lease ends.
        Raises `FencedError` when another daemon has taken over.
        """
        self._raise()
        room = self._rules.concurrency - len(self._tasks)
        if room <= 0:
            return 0
        rooms = {name: self._rules.per_channel - self._busy[name] for name in self._pacers}
        # A lease can end by the clock while its attempt goes on: the clock jumped, or we were slow. One that had not
        # ended was given back by its attempt, and may go on.
        over = now - self._rules.lease_ms
        late = {action_id for action_id, since in self._tasks.values() if since <= over}
        leased = await self._outbox.lease(now, room, self._rules.lease_ms, rooms)
        entries = [entry for entry in leased if entry.action_id not in late]
        for entry in entries:
            self._busy[entry.proposal.channel] += 1
            task = asyncio.create_task(self._handle(entry, now), name=f"delivery-{entry.action_id}")
            self._tasks[task] = entry.action_id, now
            task.add_done_callback(self._ended)
        return len(entries)

    async def idle(self) -> None:
        """Until everything started has ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        self._raise()

    async def drain(self, seconds: float) -> int:
        """At shutdown: what is under way may end; how many did not (they are due again when their lease ends)."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error

    def _raise(self) -> None:
        if (failure := self._failure) is not None:
            self._failure = None
            raise failure

    async def _handle(self, entry: Entry, now: Instant) -> None:
        name = entry.proposal.channel
        try:
            verdict, result = await self._attempt(entry, now)
        finally:
            self._busy[name] -= 1
        now = self._time(now)
        if verdict is None:
            return
        if result is None and entry.sending:  # the attempt before this one ended without a word
            verdict = replace(verdict, ambiguous=True)
        if await self._outbox.finish(entry, verdict, now):
            self._observe(Sent(entry, name, verdict, result, now))

    def _time(self, leased_at: Instant) -> Instant:
        return leased_at if self._clock is None else self._clock()

    async def _attempt(self, entry: Entry, now: Instant) -> tuple[Verdict | None, SendResult | None]:
        """The verdict, None where the entry was taken from us; and the answer, where something was sent."""
        try:
            if (early := await self._before(entry, now)) is not None:
                return early, None
            return await self._send(entry, now)
        except StoreError:
            raise
        except TemplateProblemError as error:
            return await self._give_up(entry, Reason.CHANNEL_REJECTED, str(error)[:200], now), None
        except Exception as error:  # noqa: BLE001 -- poison must not stop the others; it is told, counted and ends
            tell("delivery.crashed", error, action=entry.action_id, channel=entry.proposal.channel)
            due = now + self._rules.backoff.after(entry.action_id, entry.crashes + 1)
            return Verdict("retry", Reason.UNKNOWN, due, detail=type(error).__name__, crashed=True), None

    async def _before(self, entry: Entry, now: Instant) -> Verdict | None:
        """Why it does not go now, if so."""
        sender: Sender | None = self._channels.get(entry.proposal.channel)
        if entry.kind is ActionKind.COUPON:
            sender = self._coupons.get(entry.proposal.channel)
        if sender is None or not entry.intact:
            return await self._give_up(
                entry, Reason.CHANNEL_REJECTED, "record" if sender else "no_channel", now
            )
        if entry.sending and not self._repeatable(entry, doubted=entry.ambiguous):
            return Verdict("unknown", Reason.UNKNOWN, now, detail="interrupted", ambiguous=True)
        if entry.crashes >= self._rules.poison_after:
            return await self._give_up(entry, Reason.CHANNEL_REJECTED, "poison", now)
        if (reason := await self._unwanted(entry, now)) is not None:
            return await self._give_up(entry, reason, "", now)
        if entry.kind in APOLOGIES:
            awake = self._rules.quiet.until(now, entry.proposal.timezone)
            if awake > now:
                return Verdict("defer", Reason.QUIET_HOURS, awake)
        slot = self._pacers[entry.proposal.channel].slot(entry.action_id, now)
        return Verdict("defer", Reason.RATE_LIMITED, slot) if slot > now else None

    async def _unwanted(self, entry: Entry, now: Instant) -> Reason | None:
        if entry.expires_at is not None and entry.expires_at < now:
            return Reason.EXPIRED
        proposal = entry.proposal
        if entry.ops or proposal.customer_id is None:
            return None
        if entry.kind in {ActionKind.MESSAGE, ActionKind.COUPON}:
            refusal = await self._ledger.refuses(proposal.customer_id, proposal.purpose)
            if refusal is not None:
                return refusal
        return await self._recheck(entry, now)

    async def _give_up(self, entry: Entry, reason: Reason, detail: str, now: Instant) -> Verdict:
        """Failed, which gives money and cap back; but what may have happened is looked up first, never guessed."""
        if not (entry.ambiguous or entry.sending):
            return Verdict("failed", reason, detail=detail)
        provider = self._coupons.get(entry.proposal.channel)
        if entry.kind is not ActionKind.COUPON or provider is None or entry.coupon_code is None:
            return Verdict("unknown", reason, now, detail=detail)
        exists = await provider.find(entry.coupon_code, now)
        if exists is None:
            due = now + self._rules.backoff.after(entry.action_id, entry.attempts + 1)
            return Verdict("retry", reason, due, detail="find")
        return (
            Verdict("done", Reason.OK, detail="found") if exists else Verdict("failed", reason, detail=detail)
        )

    async def _send(self, entry: Entry, now: Instant) -> tuple[Verdict | None, SendResult | None]:
        proposal = entry.proposal
        contact = None if entry.ops else await self._contacts(proposal.customer_id, proposal.order_id)
        if entry.kind is ActionKind.MESSAGE and contact is None:
            return await self._give_up(entry, Reason.NO_CONTACT, "", now), None
        if entry.kind is ActionKind.COUPON:
            coupon, now = coupon_of(entry, contact), self._time(now)
            if await self._outbox.begin(entry, now) is None:
                return None, None
            return await self._exchange(entry, self._coupons[proposal.channel].issue(coupon, now), now)
        message = await self._composer.message(entry, contact if entry.kind is ActionKind.MESSAGE else None)
        if self._decorate is not None:
            message = await self._decorate(entry, message)
        posts, known = await self._plan(entry, message)
        at = max(entry.part, posts.done)
        more = at + 1 < len(posts.posts)
        if at >= len(posts.posts):
            return Verdict("done", Reason.OK, detail="sent_before"), None
        if at > entry.part:
            return Verdict("part", Reason.OK, now, known.provider_id if known else None), None
        post, now = posts.posts[at], self._time(now)
        begun = await self._outbox.begin(entry, now, said := fingerprint(post.body))
        if begun is None:
            return None, None
        if begun.forgotten and not self._rules.resend_unknown:
            return Verdict("unknown", Reason.UNKNOWN, now, detail="forgotten", ambiguous=True), None
        verdict, result = await self._noted(entry, post, Left(entry.action_id, begun.attempt, now, said))
        if verdict.state == "done":
            await self._remember(entry, message, verdict, known)
            verdict = replace(verdict, state="part", due=now) if more else verdict
        return verdict, result

    async def _noted(self, entry: Entry, post: Message, left: Left) -> tuple[Verdict, SendResult | None]:
        """Sent, and known to have left also where the store should forget it. What ops hears twice does no harm."""
        now, told = left.at, None if entry.ops else self._told
        if told is not None:
            try:
                await told.note(left, now)
            except OSError as error:
                # A full disk: no fault of the entry, nor of its channel, which nobody asked.
                tell("told.unwritable", error, action=entry.action_id)
                due = now + self._rules.backoff.after(entry.action_id, entry.attempts + 1)
                return Verdict("defer", Reason.UNRECORDED, due), None
        verdict, result = await self._exchange(
            entry, self._channels[entry.proposal.channel].send(post, now), now
        )
        doubted = entry.ambiguous or entry.sending or result.answer in {Answer.DONE, Answer.AMBIGUOUS}
        if told is not None and not doubted:
            try:
                await told.note(Left(left.id, left.n), now)
            except OSError as error:  # it counts as said: after a restore a person is asked
                tell("told.unwritable", error, action=entry.action_id)
        return verdict, result

    async def _exchange(
        self, entry: Entry, attempt: Awaitable[SendResult], now: Instant
    ) -> tuple[Verdict, SendResult]:
        crashed, limit = False, asyncio.timeout(self._rules.exchange_seconds)
        try:
            async with limit:
                result = await attempt
        except Exception as error:  # noqa: BLE001 -- late, or a channel's own mistake, after it may have sent
            if not limit.expired():
                crashed = True
                tell("channel.crashed", error, action=entry.action_id, channel=entry.proposal.channel)
            detail = type(error).__name__ if crashed else "Deadline"
            result = SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=detail)
        return replace(await self._classify(entry, result, self._time(now)), crashed=crashed), result

    async def _plan(self, entry: Entry, message: Message) -> tuple[Plan, Reference | None]:
        channel, known = self._channels[entry.proposal.channel], None
        if not entry.ops:
            return Plan([message]), None
        if self._references is not None and channel.capabilities.update and message.thread:
            known = await self._references.get(entry.proposal.channel, message.thread)
        given = (message, channel, entry.action_id, known, entry.provider_id)
        if len(message.body) < LONG:
            return plan(*given), known
        return await asyncio.to_thread(plan, *given), known  # a book takes a while to cut

    async def _remember(
        self, entry: Entry, message: Message, verdict: Verdict, known: Reference | None
    ) -> None:
        """Before the verdict is recorded: a crash in between finds the post and does not make it again."""
        channel = self._channels[entry.proposal.channel]
        if self._references is None or not channel.capabilities.update or not entry.ops or entry.part:
            return
        new = verdict.provider_id
        if message.thread and new and (known is None or known.provider_id != new):
            reference = Reference(entry.action_id, new)
            await self._references.put(entry.proposal.channel, message.thread, reference)

    async def _classify(self, entry: Entry, result: SendResult, now: Instant) -> Verdict:
        pacer = self._pacers[entry.proposal.channel]
        wait = self._rules.backoff.after(entry.action_id, entry.attempts + 1, result.retry_after)
        pacer.took(result.requests - 1)
        if result.cause not in RESTING:
            pacer.answered()
        if result.answer is Answer.DONE:
            return Verdict("done", Reason.OK, provider_id=result.provider_id, detail=result.detail)
        if result.answer is Answer.RETRY:
            if result.cause in RESTING:
                self._rest(entry.proposal.channel, result, now, now + wait)
            reason = Reason.RATE_LIMITED if result.cause in BUSY else Reason.PROVIDER_DOWN
            return Verdict("retry", reason, now + wait, detail=result.detail)
        if result.answer is Answer.PERMANENT:
            if result.cause is Cause.OPTED_OUT:
                await self._remember_no(entry, now)
            return await self._give_up(
                entry, FINAL.get(result.cause, Reason.CHANNEL_REJECTED), result.detail, now
            )
        if self._repeatable(entry, doubted=entry.ambiguous or entry.sending):
            return Verdict("retry", Reason.UNKNOWN, now + wait, detail=result.detail, ambiguous=True)
        return Verdict("unknown", Reason.UNKNOWN, now, result.provider_id, result.detail, ambiguous=True)

    def _rest(self, channel: str, result: SendResult, now: Instant, returns: Instant) -> None:
        """However long one of many was told to wait: another asks before."""
        backoff, pacer = self._rules.backoff, self._pacers[channel]
        asked = None if result.retry_after is None else min(result.retry_after, backoff.longest)
        rest = backoff.after(channel, pacer.failed(now), asked)
        pacer.rest(now + rest, returns)
        if rest >= TOLD_REST:
            log.warning("channel.rests", channel=channel, seconds=rest // 1000, cause=result.cause.value)

    def down(self, now: Instant) -> dict[str, float]:
        """For how many seconds each channel and coupon shop has refused all that it was asked; 0 where it has not."""
        return {name: pacer.down(now) / 1000 for name, pacer in self._pacers.items()}

    async def _remember_no(self, entry: Entry, now: Instant) -> None:
        """What the customer told the provider holds for all that follows, whoever would carry it."""
        if (customer := entry.proposal.customer_id) is not None:
            source = entry.proposal.channel
            said = {"source": source, "text_version": "", "who": "customer"}
            await self._ledger.consent(customer, "all", allowed=False, now=now, **said)

    def _repeatable(self, entry: Entry, *, doubted: bool) -> bool:
        """`doubted`: an attempt before the one in question may have been done too. An ops alert without a key is
        said a second time, never a third.
        """
        if entry.kind is ActionKind.COUPON or self._rules.resend_unknown:
            return True
        if self._channels[entry.proposal.channel].capabilities.idempotent:
            return True
        return entry.ops and not doubted
