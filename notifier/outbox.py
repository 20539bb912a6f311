"""The outbox: what is to leave, and how far it is.

    waiting -> pending -> sending -> done | failed | unknown
       ^          ^---------'  retry, defer

An entry is its action's hash in the ledger plus a place in a set ordered by due time, not a stream entry: retries,
quiet hours and patience all are times, and the store hands out what is due in one script. A lease is a due time, too:
an entry whose worker died is due again when the lease ends. The fence is a number that each delivery takes at its
start; only the newest may lease or begin, so a daemon that was paused and comes back sends nothing. A store that knows
only older ones was emptied or put back: then nothing is leased either, until `check` has put it on hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from notifier.actions import ActionKind, Proposal, Reason
from notifier.ledger import Claim, Ledger, script
from notifier.sending import Instant
from notifier.store import Store, StoreRefusedError

FENCED: Final = "FENCED"
TAKEN_OVER: Final = "another daemon has taken over this store; this one must stop"
FORGOT: Final = "the store does not know this daemon any more: it was emptied, or put back to an older copy"
log = structlog.get_logger(__name__)


class FencedError(Exception):
    """Another delivery has taken over; this one must stop."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a lease hands out. `attempts` counts calls begun; `sending` says that the last one ended without a word."""

    action_id: str
    proposal: Proposal
    template: str
    fallen_back: bool  # words without the offer: the coupon did not come
    sending: bool
    ambiguous: bool  # some attempt may have been done
    attempts: int
    crashes: int
    expires_at: Instant | None
    decided_at: Instant
    coupon_code: str | None
    intact: bool  # the record is the one that was claimed
    part: int = 0  # how many of its messages are sent, where it takes several
    provider_id: str | None = None  # of the first of them

    @property
    def kind(self) -> ActionKind:
        return self.proposal.kind

    @property
    def ops(self) -> bool:
        return self.kind is ActionKind.OPS_ALERT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an entry: state is done, part (sent, and there is more of it), retry, defer, failed or unknown."""

    state: str
    reason: Reason = Reason.OK
    due: Instant = 0
    provider_id: str | None = None
    detail: str = ""
    ambiguous: bool = False
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """`attempt` counts from 1. `forgotten`: it is one that was made before, may have said it, and that the store had
    forgotten.
    """

    attempt: int
    forgotten: bool = False


class Outbox:
    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._root = ledger.key()
        self._lease = script("lease")
        self._begin = script("begin")
        self._finish = script("finish")
        self._watch = script("watch")
        self._token = ""

    async def take_over(self) -> None:
        """From here on every other delivery is fenced off."""
        self._token = (await self._store.script(script("take_over"), [self._root])).decode()

    async def lease(self, now: Instant, count: int, lease_ms: int, rooms: Mapping[str, int]) -> list[Entry]:
        """Ops first, and of each channel no more than `rooms` has for it. Raises `FencedError`."""
        try:
            found = await self._store.script(
                self._lease, [self._root], now, self._token, count, lease_ms, msgspec.json.encode(rooms)
            )
        except StoreRefusedError as error:
            if error.code == FENCED:
                raise FencedError(TAKEN_OVER) from None
            raise
        return [self._entry(action_id.decode(), fields) for action_id, fields in found]

    async def check(self, now: Instant) -> str | None:
        """Raises `FencedError` where another has taken over since. A store that forgot us is held, and reminded; then why."""
        if not self._token:
            return None
        said = ("forestall", FORGOT, "start")
        answer = await self._store.script(self._watch, [self._root], self._token, now, *said)
        if answer == b"taken":
            raise FencedError(TAKEN_OVER)
        if answer != b"forgot":
            return None
        log.error("store.doubtful", why=FORGOT)
        return FORGOT

    async def begin(self, entry: Entry, now: Instant, said: str = "") -> Begun | None:
        """Writes the attempt, and what its text is known by. None: the entry is not ours to send any more, or not now."""
        given = (entry.action_id, self._token, now, said)
        attempt = int(await self._store.script(self._begin, [self._root], *given))
        return Begun(abs(attempt), attempt < 0) if attempt else None

    async def finish(self, entry: Entry, verdict: Verdict, now: Instant) -> bool:
        return bool(
            await self._store.script(
                self._finish,
                [self._root],
                entry.action_id,
                self._token,
                verdict.state,
                now,
                verdict.due,
                verdict.reason,
                verdict.provider_id or "",
                verdict.detail,
                int(verdict.ambiguous),
                int(verdict.crashed),
            )
        )

    def _entry(self, action_id: str, fields: list[bytes | None]) -> Entry:
        record, state, attempts, expires, template, code, ambiguous, crashes, decided, checksum, part, pid = (
            fields
        )
        assert record is not None  # noqa: S101 -- a claim is written whole
        proposal = msgspec.json.decode(record, type=Proposal)
        return Entry(
            action_id=action_id,
            proposal=proposal,
            template=template.decode() if template else proposal.template,
            fallen_back=bool(template),
            sending=state == b"sending",
            ambiguous=ambiguous == b"1",
            attempts=_integer(attempts),
            crashes=_integer(crashes),
            expires_at=_integer(expires) or None,
            decided_at=_integer(decided),
            coupon_code=code.decode() if code else None,
            intact=self._ledger.intact(record, checksum or b""),
            part=_integer(part),
            provider_id=pid.decode() if pid else None,
        )


def entry_of(claim: Claim) -> Entry:
    """What a lease would hand out, of a claim that nobody may send now: to say again what was said."""
    return Entry(
        action_id=claim.action_id,
        proposal=claim.proposal,
        template=claim.template or claim.proposal.template,
        fallen_back=bool(claim.template),
        sending=False,
        ambiguous=True,
        attempts=claim.attempts,
        crashes=0,
        expires_at=claim.proposal.expires_at,
        decided_at=claim.decided_at,
        coupon_code=claim.coupon_code,
        intact=claim.checksum_holds,
    )


def _integer(value: Any) -> int:
    return int(float(value)) if value else 0
