"""What time alone says."""

from __future__ import annotations

from monitor.engine.layout import LEG, Open, What
from monitor.engine.plain.life import Key, Life
from monitor.engine.plain.table import PlainTable
from monitor.vocabulary import Segment


class PlainSweep(PlainTable):
    def sweep(self, now: int) -> list[tuple[Key, int]]:
        """(key, What bits) of everything that is to be said at `now` (seconds), sorted by key."""
        said = [(key, what) for key in sorted(self.lives) if (what := self._judge(self.lives[key], now))]
        return [(key, what) for key, what in said if what]

    def _judge(self, life: Life, now: int) -> int:
        still = now - life.last_scan
        if life.finished or still >= self.rules.forget:
            if life.finished and still < self._stays_for(life):
                return 0
            if not life.finished:
                self._move(life.facility if life.in_place else 0, 0)
            del self.lives[life.key]
            return What.LEAVE if life.open else 0
        if life.source in self.held:
            return 0
        what = 0
        if life.promised and not life.promise_told and now >= life.promised:
            life.promise_told = True
            if life.segment != Segment.RETURN:
                life.open |= Open.PROMISE
                what |= What.PROMISE
        may_be_lost = not life.is_order and life.segment not in (Segment.PICKUP, Segment.COLLECTION)
        if may_be_lost and not life.open & Open.LOST and self._is_lost(life, now):
            life.open = (life.open & ~Open.STALL) | Open.LOST
            what |= What.LOST
        timed = life.segment != Segment.NONE and not life.open & (Open.STALL | Open.LOST)
        limits = self.quick if self._in_jam(life) else self.limit
        limit = limits(int(LEG[life.segment, life.status]))
        if what & What.PROMISE and life.segment == Segment.COLLECTION:
            limit = min(limit, self.rules.patience)
        early = self._is_preorder(life) and self._ships_by(life) > now
        if timed and not early and self._silent(life, now) >= limit:
            life.open |= Open.STALL
            what |= What.STALL
        return what

    def _is_lost(self, life: Life, now: int) -> bool:
        limit = self.rules.lost_abroad if life.abroad else self.rules.lost
        leg = int(LEG[life.segment, life.status])
        usual = self.limit(leg)
        worked = max(limit * 5 // 7, usual * 3 // 2 if usual > self.ceiling(leg) else 0)
        hidden = sum(until - since for since, until in self._hidden(life, now))
        return now - life.last_scan - hidden >= limit and self._silent(life, now) >= worked

    def _silent(self, life: Life, now: int) -> int:
        """Since its last scan, less what the silences of its feed hid."""
        age = self._worked(life, life.last_scan, now)
        return age - sum(self._worked(life, since, until) for since, until in self._hidden(life, now))

    def _hidden(self, life: Life, now: int) -> list[tuple[int, int]]:
        spans = [
            (max(life.last_scan, begins), min(now, ends))
            for begins, ends in self.outages.get(life.source, ())
        ]
        return [(since, until) for since, until in spans if until > since]
