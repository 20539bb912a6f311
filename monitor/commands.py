"""What a person decides, from the command line, the console or a link: done once, with a name in the audit log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.findings import Instant
from monitor.api import Actor, Json, Refused
from monitor.deadletter import DeadLetters, NotNowError
from monitor.decisions import Decisions
from monitor.incidents import Command
from monitor.letters import Letter
from monitor.loop import Loop
from monitor.records import when
from monitor.vocabulary import DeadReason
from notifier.ledger import Ledger, Person, SecondPersonNeededError
from notifier.reconcile import Reconciler
from notifier.reminder import Reminder
from notifier.sending import CouponsUnavailableError

HOUR_MS = 3_600_000
MOST_HOURS = 8_784  # a year
MOST_REASON = 2_000
ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
EVENTS: Mapping[str, str] = {"acknowledge": "ack", "expire": "unsilence"}  # as the verbs are called outside
SAID: Mapping[str, str] = {
    "not_held": "it does not wait for anybody: decided already, or never held",
    "expired": "too late to be welcome; it is dropped, and its money has gone back",
    "second_needed": "your word is noted; a second person must say so too",
    "same_person": "you said so already; it takes somebody else",
}
Handler = Callable[[Json, Actor, Instant], Awaitable[Json]]


@dataclass(slots=True)
class Commands:
    loop: Loop
    ledger: Ledger
    reconciler: Reconciler
    reminder: Reminder
    letters: DeadLetters
    decisions: Decisions
    resubmit: Callable[[Letter], Awaitable[bool]]
    trust: Callable[[], Awaitable[None]]  # of what is here: key, folder and store are the right ones

    async def run(self, name: str, arguments: Json, actor: Actor, now: Instant) -> Json:
        handlers: Mapping[str, Handler] = {
            "ack": self._acknowledge,
            "silence": self._silence,
            "unsilence": self._unsilence,
            "snooze": self._snooze,
            "resolve": self._resolve,
            "note": self._note,
            "approve": self._approve,
            "reject": self._reject,
            "hold": self._hold,
            "release": self._release,
            "kill": self._kill,
            "resume": self._resume,
            "outbox-retry": self._retry,
            "deadletter-replay": self._replay,
            "deadletter-drop": self._drop,
        }
        return await handlers[name](arguments, actor, now)

    async def dead_letters(self, count: int) -> Sequence[Json]:
        return [
            {
                "entry_id": letter.id,
                "at": when(letter.at) if letter.at else None,
                "feed": letter.feed,
                "format": letter.format,
                "reason": str(letter.reason),
                "detail": letter.detail,
                "bytes": letter.whole,
                "cut": letter.cut,
                "payload": letter.raw.decode("utf-8", "replace")[:500],
            }
            for letter in await self.letters.list(count=count)
        ]

    # incidents

    async def _acknowledge(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        incident, person = _text(arguments, "incident"), _person(actor, arguments)
        await self._apply("acknowledge", person, now, incident, incident_id=incident, note=person.why)
        return {"message": f"{incident} is acknowledged: no repeats; news of it still comes"}

    async def _snooze(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        incident, hours = _text(arguments, "incident"), _hours(arguments, 1.0)
        until, about = now + int(hours * HOUR_MS), f"{incident} for {hours:g} hours"
        await self._apply("snooze", _person(actor, arguments), now, about, incident_id=incident, until=until)
        return {"message": f"{incident} is quiet for {hours:g} hours"}

    async def _resolve(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        incident, person = _text(arguments, "incident"), _person(actor, arguments)
        await self._apply("resolve", person, now, incident, incident_id=incident, note=person.why)
        return {"message": f"{incident} is closed; new findings there open another"}

    async def _note(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        incident, person = _text(arguments, "incident"), _person(actor, arguments)
        note = _text(arguments, "reason")
        await self._apply("note", person, now, incident, incident_id=incident, note=note)
        return {"message": f"{incident} has your note"}

    async def _silence(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        matchers = [_matcher(one) for one in _texts(arguments, "matchers")]
        try:
            hidden = [view.incident_id for view in self.loop.pipeline.incidents.preview(matchers)]
        except ValueError as error:
            raise Refused(str(error), 400) from None
        if arguments.get("preview"):
            return {"message": f"it would hide {len(hidden)} firing incidents", "hides": hidden}
        hours, person = _hours(arguments, 2.0), _person(actor, arguments)
        identity = "S" + _digest("silence", str(now), actor.name, *matchers)
        silence = {
            "id": identity, "matchers": matchers, "author": actor.name, "comment": person.why,
            "starts_at": now, "ends_at": now + int(hours * HOUR_MS),
        }  # fmt: skip
        about = f"{identity} for {hours:g} hours: {', '.join(matchers)}"
        await self._apply("silence", person, now, about, silence=silence)
        return {
            "message": f"silence {identity} for {hours:g} hours; it hides {len(hidden)} incidents",
            "silence": identity,
        }

    async def _unsilence(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        identity = _text(arguments, "silence")
        try:
            await self._apply("expire", _person(actor, arguments), now, identity, note=identity)
        except Refused:
            raise Refused(f"no silence {identity} is running", 404) from None
        return {"message": f"silence {identity} has ended"}

    async def _apply(self, verb: str, person: Person, now: Instant, about: str, **more: Any) -> None:
        """`about` is what the audit log keeps: what it was done to, and for how long."""
        identity = _digest(verb, str(now), person.who, str(more))
        command = Command(id=identity, at=now, by=person.who, verb=verb, **more)

        async def write(command: Command) -> None:
            self.loop.pipeline.incidents.check(command)
            await self.ledger.note(EVENTS.get(verb, verb), about, person, now)
            await self.decisions.write(command)

        try:
            await self.loop.command(command, write)
        except KeyError:
            raise Refused(f"no open incident {more.get('incident_id')}", 404) from None
        except ValueError as error:
            raise Refused(str(error), 400) from None

    # money

    async def _approve(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        action = _text(arguments, "action")
        answer = await self.ledger.approve(action, _person(actor, arguments), now)
        return _decided(action, "approve", answer)

    async def _reject(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        action = _text(arguments, "action")
        answer = await self.ledger.reject(action, _person(actor, arguments), now)
        return _decided(action, "reject", answer)

    async def _hold(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        changed = await self.ledger.hold(_person(actor, arguments), now)
        return {
            "message": "nothing is spent until `forestall release`" if changed else "it was on hold already"
        }

    async def _release(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        """Only after the coupon shops have said which codes exist, and the store knows of all words that left."""
        forgotten = await self.reminder.remind(now)
        try:
            books = await self.reconciler.shop(now)
        except CouponsUnavailableError as error:
            raise Refused(f"still on hold: {error}", 503) from None
        try:
            count = await self.ledger.release(_person(actor, arguments), now, self.trust)
        except SecondPersonNeededError as error:
            return {"message": f"still on hold: {SAID[error.asked]}", "answer": error.asked}
        found = f"{books.at_shop} codes at the shop, {books.unknown_to_us + len(books.found)} that we did not know"
        found += f"; {forgotten} words that the store forgot" if forgotten else ""
        return {"message": f"released after reconciling ({found}); {count} held decisions go on"}

    async def _kill(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        changed = await self.ledger.kill(_person(actor, arguments), now)
        return {"message": "the kill switch is on: nothing leaves" if changed else "it was on already"}

    async def _resume(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        try:
            changed = await self.ledger.revive(_person(actor, arguments), now)
        except SecondPersonNeededError as error:
            return {"message": f"the kill switch stays on: {SAID[error.asked]}", "answer": error.asked}
        return {"message": "the kill switch is off" if changed else "it was off already"}

    async def _retry(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        entry = _text(arguments, "entry")
        done = await self.ledger.resolve(entry, "retry", _person(actor, arguments), now)
        if not done:
            raise Refused(f"{entry} is not among the given up or unknown entries", 404)
        return {"message": f"{entry} will be sent again"}

    async def _replay(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        wanted = _entry(arguments)
        await self.ledger.note("deadletter_replay", wanted or "all", _person(actor, arguments), now)
        try:
            taken, refused = await self.letters.replay(self.resubmit, ids={wanted} if wanted else None)
        except NotNowError as error:
            raise Refused(f"not all were tried: {error}", 503) from None
        if wanted and not taken + refused:
            raise Refused(f"there is no dead letter {wanted}", 404)
        cut = await self.letters.cut({wanted} if wanted else None) if refused else 0
        message = f"{taken} taken, {refused} still unreadable"
        if cut:
            message += (
                f", {cut} of them because only their beginning is kept: ask their sender for them again"
            )
        return {"message": message, "taken": taken, "refused": refused, "cut": cut}

    async def _drop(self, arguments: Json, actor: Actor, now: Instant) -> Json:
        entry, feed, reason = _entry(arguments), arguments.get("feed"), arguments.get("reason")
        if reason is not None and reason not in set(DeadReason):
            raise Refused(f"reason: one of {', '.join(sorted(DeadReason))}", 400)
        if not (entry or feed or reason or arguments.get("all") is True):
            raise Refused("say which: entry, feed, reason, or all", 400)
        about = " ".join(str(one) for one in (entry, feed, reason) if one) or "all"
        await self.ledger.note("deadletter_drop", about, _person(actor, {}), now)
        dropped = await self.letters.drop(
            ids={entry} if entry else None,
            feed=str(feed) if feed else None,
            reason=DeadReason(reason) if reason else None,
        )
        if entry and not dropped:
            raise Refused(f"there is no dead letter {entry}", 404)
        return {"message": f"{dropped} dropped", "dropped": dropped}


def _decided(action: str, word: str, answer: str) -> Json:
    if answer == "absent":
        raise Refused(f"{action}: there is no such action", 404)
    done = "approved, it goes on" if word == "approve" else "rejected, its money has gone back"
    return {"message": f"{action}: {SAID.get(answer, done)}", "answer": answer}


def _person(actor: Actor, arguments: Json) -> Person:
    reason = str(arguments.get("reason", ""))
    if len(reason) > MOST_REASON:
        raise Refused(f"reason: at most {MOST_REASON:,} characters", 400)
    return Person(actor.name, reason, actor.source)


def _entry(arguments: Json) -> str:
    """The one dead letter that is meant; empty where none is named."""
    entry = str(arguments.get("entry") or "")
    if entry and not ENTRY.fullmatch(entry):
        raise Refused("entry: an id as `forestall deadletter list` shows it", 400)
    return entry


def _text(arguments: Json, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"{name}: a text is needed", 400)
    return value


def _texts(arguments: Json, name: str) -> list[str]:
    value = arguments.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Refused(f"{name}: a list of texts is needed", 400)
    return value


def _hours(arguments: Json, usual: float) -> float:
    value = arguments.get("hours", usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_HOURS:
        raise Refused(f"hours: a number above 0, at most {MOST_HOURS:,}", 400)
    return float(value)


def _matcher(text: str) -> str:
    """name=value as people type it; name="value" and name=~"expression" as Alertmanager writes it."""
    name, sign, value = text.partition("=")
    if not sign or value.startswith(('"', "~")) or name.endswith("!"):
        return text
    return f'{name}="{value}"'


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
