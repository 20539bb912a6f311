"""Who is told when: group, wait, interval, repeat, as in Alertmanager; a full receiver gets a digest. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from config.settings import EscalationStep, NotifySettings, Route
from detectors.findings import Instant
from monitor.incidents import Phase, Transition, View, Why
from monitor.notifications.groups import Group, GroupKey, Ready, digest, urgency
from monitor.notifications.log import Told, Wish, needed
from monitor.notifications.records import Held, Notification, SendReason, key_of, most_severe
from monitor.notifications.routing import ESCALATION, Routing

MINUTE = 60_000
PER_MINUTE = 18  # DingTalk and WeCom block a robot for ten minutes above 20
DIGEST_STEP = 20_000
SINGLE_SHARE = 2 / 3  # of a minute's messages that incidents may have one by one
REMEMBERED = 2_000
STALE = 3_600_000  # an alert that waited longer is made anew from what is true then
ENDINGS_WAIT = 86_400_000  # an all-clear is worth sending late
REPEAT_SECONDS = {"critical": 4 * 3_600, "warning": 12 * 3_600, "info": 24 * 3_600, "resolved": 4 * 3_600}
DAY_SECONDS = 24 * 3_600
Lookup: TypeAlias = Callable[[str], View | None]


@dataclass(frozen=True, slots=True)
class _Room:
    """What a receiver takes now: so many messages of one group, and whether a digest."""

    single: int
    digest: bool


class Notifications:
    """Wiring, once a tick after `Incidents.advance`: `observe(transitions)`, then `due(now, incidents.get)`; each
    notification becomes a proposal (`monitor.notifications.proposals`) and so a claim under its `key`, which is the
    same after a crash and a replay. What the ledger answers with a no goes back before the next `due`: `refused(key)`, or
    `shadowed(key)` in shadow mode. `failed(key)` when delivery gave a message up: it is said again at the group's
    next interval. `per_minute` by receiver from the channels' own limits; `acknowledging` are the receivers that can be
    told quietly that somebody has it.
    """

    def __init__(
        self,
        settings: NotifySettings,
        escalation: tuple[EscalationStep, ...] = (),
        per_minute: Mapping[str, int] | None = None,
        acknowledging: AbstractSet[str] = frozenset(),
    ) -> None:
        self._acknowledging = acknowledging
        self._groups: dict[GroupKey, Group] = {}
        self._groups_of: dict[str, dict[GroupKey, None]] = {}
        self._sent: dict[str, deque[Instant]] = {}
        self._digested: dict[str, Instant] = {}
        self._keys: dict[str, list[GroupKey]] = {}
        self._undo: dict[str, list[tuple[GroupKey, Group]]] = {}  # the groups of the last `due`, before it
        self._held: dict[str, tuple[Instant, Held]] = {}
        self.held_counts: dict[Held, int] = dict.fromkeys(Held, 0)
        self._per_minute = dict(per_minute or {})
        self.reload(settings, escalation)
        self._routed_by = self._routing.mark

    def reload(self, settings: NotifySettings, escalation: tuple[EscalationStep, ...] = ()) -> None:
        """New routes; what was told stays known, so a reload repeats nothing. Raises ValueError for a matcher that cannot
        be, with the old routes in force. What fires already waits for `reroute`.
        """
        self._routing = Routing(settings, escalation)
        self._settings = settings

    def reroute(self, fires: Callable[[], Sequence[View]], now: Instant) -> list[GroupKey]:
        """Where routes are other ones than those that made the groups: what fires belongs to the groups of the routes of
        now. Returns the groups that are gone, as nobody is told by their route, or that receiver, any more.
        """
        if self._routed_by == self._routing.mark:
            return []
        self._routed_by, firing = self._routing.mark, fires()
        wanted = {view.incident_id: dict(self._routing.groups_of(view.labels)) for view in firing}
        gone = [key for key in self._groups if not self._routing.knows(key)]
        for key in gone:
            self._leave(key, [*self._groups[key].members, *self._groups[key].over])
        for key in list(self._groups):
            if not key[1].startswith(ESCALATION):
                self._leave(key, [name for name, keys in wanted.items() if key not in keys])
        for view in firing:
            for key, wait in wanted[view.incident_id].items():
                if key not in self._groups_of.get(view.incident_id, {}):
                    self._join(key, view.incident_id, now, wait)
            if not self._groups_of.get(view.incident_id):
                self._hold(view.incident_id, Held.NO_ROUTE, now)
        return gone

    def observe(self, transitions: Iterable[Transition]) -> None:
        for change in transitions:
            if change.old is not Phase.FIRING and change.new is Phase.FIRING:
                self._fired(change)
            elif change.reason is Why.ESCALATED:
                self._escalated(change)
            elif change.old is Phase.FIRING:
                self._changed(change)

    def due(self, now: Instant, lookup: Lookup, *, shadow: bool = False) -> list[Notification]:
        """`shadow`: nothing of it will leave. What was told to nobody there is told anew when it ends."""
        waiting: dict[str, list[GroupKey]] = {}
        self._undo = {}
        for key, group in self._groups.items():
            if group.next_flush <= now:
                if group.shadow and not shadow:
                    group.surface()
                waiting.setdefault(key[0], []).append(key)
        out: list[Notification] = []
        for receiver in sorted(waiting):
            keys, room = waiting[receiver], self._room(receiver, now)
            if len(keys) <= room.single or room.digest:  # otherwise they wait some seconds for a digest
                flushed = (self._flush(key, self._groups[key], now, lookup) for key in keys)
                out += self._within_limits([one for one in flushed if one is not None], room, now)
        return out

    def failed(self, key: str, now: Instant) -> bool:
        """A message that was given up: its groups count as never told of it."""
        groups = self._keys.pop(key, [])
        for group_key in groups:
            group = self._groups.get(group_key)
            if group is not None and group.told is not None:
                before = group.before or Told()
                group.told = replace(before, sequence=group.told.sequence - 1, attempt=group.told.attempt + 1)
                group.next_flush = max(
                    group.next_flush, now + 1000 * self._routing.route(group_key).group_interval_seconds
                )
        return bool(groups)

    def refused(self, key: str, why: Held, now: Instant) -> None:
        """The ledger's no to a message of the last `due`: its groups are as they were before, ends that are yet to be told
        included, and try again at the next interval, under another key.
        """
        self._keys.pop(key, None)
        for group_key, was in self._undo.pop(key, []):
            told = was.told or Told()
            was.told = replace(told, attempt=told.attempt + 1)
            was.next_flush = now + 1000 * self._routing.route(group_key).group_interval_seconds
            self._groups[group_key] = was
            for name in (*was.members, *was.over):
                self._groups_of.setdefault(name, {})[group_key] = None
                self._hold(name, why, now)

    def shadowed(self, key: str, why: Held, now: Instant) -> None:
        """Decided in shadow mode, so that it shows who would be told when: nobody was."""
        for group_key, was in self._undo.pop(key, []):
            group = self._groups.get(group_key)
            if group is not None and not group.shadow:
                group.shadow, group.heard = True, was.told
            for name in (*was.members, *was.over):
                self._hold(name, why, now)

    def why_not(self, incident_id: str) -> tuple[Instant, Held] | None:
        """Why nobody heard of this incident when somebody last could have."""
        return self._held.get(incident_id)

    # incidents

    def _fired(self, change: Transition) -> None:
        matched = False
        for key, wait in self._routing.groups_of(change.view.labels):
            matched = True
            self._join(key, change.incident_id, change.at, wait)
        if not matched:
            self._hold(change.incident_id, Held.NO_ROUTE, change.at)

    def _join(self, key: GroupKey, incident_id: str, at: Instant, wait: int) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(at, at + wait)
        group.members[incident_id] = None
        self._groups_of.setdefault(incident_id, {})[key] = None
        if group.told is None:
            self._hold(incident_id, Held.WAITING, at)

    def _leave(self, key: GroupKey, incidents: Iterable[str]) -> None:
        group = self._groups[key]
        for name in incidents:
            if name in group.members or name in group.over:
                group.members.pop(name, None)
                group.over.pop(name, None)
                self._forget(key, name)
        if not group.members:
            del self._groups[key]

    def _forget(self, key: GroupKey, incident_id: str) -> None:
        of = self._groups_of.get(incident_id, {})
        of.pop(key, None)
        if not of:
            self._groups_of.pop(incident_id, None)

    def _escalated(self, change: Transition) -> None:
        for key in self._routing.escalated(int(change.note), change.incident_id):
            self._join(key, change.incident_id, change.at, 0)

    def _changed(self, change: Transition) -> None:
        for key in self._groups_of.get(change.incident_id, ()):
            group = self._groups[key]
            if change.new is Phase.RESOLVED:
                group.over[change.incident_id] = change.view
            elif change.reason is Why.GREW:
                group.grew = True
            elif change.reason in {Why.WOKE, Why.HEARD_AGAIN}:
                group.woke = True
            elif (
                change.reason is Why.ACKNOWLEDGED and key[0] in self._acknowledging and group.told is not None
            ):
                group.taken = True
                group.next_flush = min(group.next_flush, change.at)

    # one group

    def _flush(self, key: GroupKey, group: Group, now: Instant, lookup: Lookup) -> Ready | None:
        route = self._routing.route(key)
        views = [lookup(name) for name in group.members if name not in group.over]
        firing = [view for view in views if view is not None and view.phase is Phase.FIRING]
        heard = [view for view in firing if not view.muted]
        told = group.told or Told()
        over = [view for name, view in group.over.items() if name in told.firing]
        wish = Wish(
            firing={view.incident_id for view in heard},
            resolved={view.incident_id for view in over},
            grew=group.grew,
            woke=group.woke and bool(told.firing),
            acknowledged=all(view.acknowledged_by is not None for view in heard),
            taken=group.taken,
            send_resolved=route.send_resolved,
        )
        repeat = route.repeat_interval_seconds or _patience(most_severe(heard), told.repeats)
        reason = needed(group.told, wish, now, 1000 * repeat)
        if reason is None:
            self._explain(group, firing, wish, now, told)
            self._quiet(key, group, route, now)
            return None
        if key[1].startswith(ESCALATION) and reason is SendReason.FIRST:
            reason = SendReason.ESCALATED
        next_told = Told(
            frozenset(wish.firing),
            frozenset(wish.resolved),
            now,
            told.sequence + 1,
            told.attempt,
            told.repeats + 1 if reason is SendReason.REPEAT else 0,
        )
        interval = 1000 * route.group_interval_seconds
        notification = Notification(
            key=key_of(*key, group.opened_at, told.sequence, told.attempt),
            receiver=key[0],
            route=key[1],
            group=key[2],
            reason=reason,
            at=now,
            expires_at=now + (max(2 * interval, STALE) if heard else ENDINGS_WAIT),
            firing=tuple(heard),
            resolved=tuple(over) if route.send_resolved else (),
            locale=route.locale or self._settings.locale,
            mention=self._routing.mention(key[1]),
            thread=key[2].removeprefix("incident=")
            if key[2].startswith("incident=") and "\0" not in key[2]
            else key_of("thread", *key, group.opened_at),
        )
        return Ready(key, group, notification, next_told)

    def _quiet(self, key: GroupKey, group: Group, route: Route, now: Instant) -> None:
        """Nothing to say: what ended is forgotten, and the entry with it, as it would have been had it been sent."""
        if group.over and group.told is not None:
            group.told = replace(group.told, firing=group.told.firing - group.over.keys())
        self._settle(key, group, route, now)

    def _settle(self, key: GroupKey, group: Group, route: Route, now: Instant) -> None:
        for name in group.over:
            group.members.pop(name, None)
            self._forget(key, name)
        group.over = {}
        group.grew = group.woke = group.taken = False
        interval = 1000 * route.group_interval_seconds
        group.next_flush += interval * max(1, -(-(now + 1 - group.next_flush) // interval))
        if not group.members:
            del self._groups[key]

    def _explain(self, group: Group, firing: list[View], wish: Wish, now: Instant, told: Told) -> None:
        for view in firing:
            if view.mutes:
                self._hold(view.incident_id, Held(view.mutes[0][0].value), now)
            elif wish.acknowledged:
                self._hold(view.incident_id, Held.ACKNOWLEDGED, now)
        for name in group.over:
            untold = name not in told.firing
            self._hold(name, Held.ENDED_UNTOLD if untold else Held.NOT_RESOLVED_WANTED, now)

    def _hold(self, incident_id: str, held: Held, at: Instant) -> None:
        self._held.pop(incident_id, None)
        self._held[incident_id] = (at, held)
        self.held_counts[held] += 1
        if len(self._held) > REMEMBERED:
            del self._held[next(iter(self._held))]

    # one receiver

    def _room(self, receiver: str, now: Instant) -> _Room:
        limit = self._settings.per_minute.get(receiver) or self._per_minute.get(receiver, PER_MINUTE)
        sent = self._sent.setdefault(receiver, deque())
        while sent and sent[0] <= now - MINUTE:
            sent.popleft()
        apart = now - self._digested.get(receiver, 0) >= DIGEST_STEP
        return _Room(max(0, int(limit * SINGLE_SHARE) - len(sent)), len(sent) < limit and apart)

    def _within_limits(self, ready: list[Ready], room: _Room, now: Instant) -> list[Notification]:
        if len(ready) <= room.single:
            return [self._send([one], one.notification, now) for one in ready]
        ready.sort(key=urgency)
        alone = ready[: max(0, room.single - 1)]
        rest = ready[len(alone) :]
        out = [self._send([one], one.notification, now) for one in alone]
        self._digested[rest[0].notification.receiver] = now
        whole = rest[0].notification if len(rest) == 1 else digest(rest, now)
        return [*out, self._send(rest, whole, now)]

    def _send(self, ready: list[Ready], notification: Notification, now: Instant) -> Notification:
        self._undo[notification.key] = [(one.key, one.group.copy()) for one in ready]
        for one in ready:
            one.group.before, one.group.told = one.group.told, one.told
            self._settle(one.key, one.group, self._routing.route(one.key), now)
        for view in (*notification.firing, *notification.resolved):
            self._held.pop(view.incident_id, None)
        self._sent[notification.receiver].append(now)
        self._keys[notification.key] = [one.key for one in ready]
        if len(self._keys) > REMEMBERED:
            del self._keys[next(iter(self._keys))]
        return notification

    # the checkpoint

    def state(self) -> dict[str, Any]:
        return {
            "version": 1,
            "groups": [[*key, group.plain()] for key, group in self._groups.items()],
            "sent": {receiver: list(times) for receiver, times in self._sent.items()},
            "digested": dict(self._digested),
            "keys": [[key, [list(group) for group in groups]] for key, groups in self._keys.items()],
            "held": [[name, at, why] for name, (at, why) in self._held.items()],
            "routed_by": self._routed_by,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != 1:
            raise ValueError(f"a notification log of version {state['version']} is not readable here")
        self._groups = {
            (receiver, route, values): Group.of_plain(plain)
            for receiver, route, values, plain in state["groups"]
        }
        self._groups_of = {}
        for key, group in self._groups.items():
            for name in group.members:
                self._groups_of.setdefault(name, {})[key] = None
        self._sent = {receiver: deque(times) for receiver, times in state["sent"].items()}
        self._digested = dict(state["digested"])
        self._keys = {key: [(a, b, c) for a, b, c in groups] for key, groups in state["keys"]}
        # Younger than the format. Who told of no routes had these ones: nothing is told twice after an update.
        self._routed_by = state.get("routed_by", self._routed_by)
        self._held = {name: (at, Held(why)) for name, at, why in state.get("held", ())}


def _patience(severity: str, repeats: int) -> int:
    """Seconds. What was repeated in vain is repeated less and less: people have heard it."""
    return min(REPEAT_SECONDS[severity] << min(repeats, 10), DAY_SECONDS)
