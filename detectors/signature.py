"""`signature_suspect`: a parcel is said to be delivered and probably is not; and couriers with too many of those.

Rules give features (`signoff_features`), an online logistic model weighs them, and customers teach it: who writes
"not received" within 48 hours labels a sign-off as false, weakly, for half of those cheated never write. The answer to
a suspect signature is a question to the customer, never a coupon.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from detectors.clock import DAY, HOUR, day_ends, is_date, offset_of
from detectors.deferred import Deferred
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.gestures import Gestures
from detectors.interfaces import Window
from detectors.logistic import FURTHEST, Logistic
from detectors.peers import Peers
from detectors.signature_words import courier_evidence, parcel_evidence
from detectors.signoff_features import AT, INTERCEPT, PRIOR, Signoffs, Striking, Usual
from detectors.signoff_kernels import FEATURES
from detectors.signoffs_kept import Kept, Places, SignoffsKept
from detectors.tables import F64, I64, Coded, Table

LABEL_AFTER: Final = 48 * HOUR
KEEP_FOR: Final = 14 * DAY  # an episode nobody answered
WRITES: Final = 0.5  # of those cheated, within 48 hours
NOT_RECEIVED: Final = frozenset({"false_delivery", "not_received", "missing"})
ODD: Final[
    Mapping[str, tuple[str, float]]
] = {  # feature that an impossible scan stands for, and how much of it
    "before_order": ("impossible", 1.0),
    "paid_late": ("impossible", 1.0),
    "too_fast": ("impossible", 0.6),
    "earlier_stage": ("impossible", 0.3),
    "after_end": ("rescanned", 1.0),
}
_ENDS: Final = frozenset(
    {12, 13, 14, 16, 19, 20}
)  # statuses that end a parcel: no scan of a parcel on its way
_BEFORE_WAY: Final = frozenset({1, 2})  # created, accepted
_SAMPLE: Final = 100  # ordinary sign-offs a run that are kept to learn from


class SignatureSuspect:
    name = "signature_suspect"
    every = 600_000
    wants = frozenset({"signoffs", "oddities", "complaints"})

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        open_score: float = 0.15,
        city_digits: int = 4,
        capacity: int = 200_000,
        courier_deviations: float = 4.0,
        paid_on_delivery: Collection[str] = (),
    ) -> None:
        """`paid_on_delivery`: feeds whose orders may be paid after they were shipped; `*` is all."""
        self._timezone = timezone
        self._open = open_score
        self._digits = city_digits
        self._deviations = courier_deviations
        self._later = frozenset(paid_on_delivery)
        self._usual = Usual()
        self._model = Logistic(PRIOR, INTERCEPT)
        self._couriers = Peers()
        self._gestures = Gestures()
        self._kept = SignoffsKept(capacity)
        self._mistaken = [1.0, 700.0]  # complaints about sign-offs that looked ordinary, and such sign-offs
        self._forgot_at: Instant | None = None
        self._unheard_since: Instant = 0  # no open episode was last heard of before
        self._parcels = Episodes(self.name, Kind.SIGNATURE_SUSPECT, limit=100_000)
        self._people = Episodes(self.name, Kind.SIGNATURE_SUSPECT)
        self._spoken: set[str] = set()  # names of which an episode is open

    def run(self, window: Window) -> list[Finding]:
        now = window.until
        self._pass_time(now)
        changed = self._sign(window.table("signoffs"), now)
        changed |= self._odd(window.table("oddities"))
        changed |= self._complain(window.complaints)
        found = self._judge(changed, now) + self._judge_couriers(now)
        self._label(now)
        return found + self._expire(now)

    # -- what came

    def _sign(self, table: Table, now: Instant) -> set[str]:
        if not len(table):
            return set()
        offset = offset_of(now, self._timezone)
        signed = self._usual.read(table, offset)
        together, grown = self._gestures.together(table, now, offset)
        couriers = self._couriers.rows_of(table.coded("courier"))
        excess = self._couriers.excess(couriers)
        judged = self._usual.beside(signed, together, excess, couriers, self._digits, now)
        stride = max(1, -(-len(signed) // _SAMPLE))
        kept = judged.kept(self._model, math.log(self._open / (1 - self._open)) - 2.5, stride)
        self._couriers.count(couriers, kept.blame)
        self._mistaken[1] += float(len(signed) - kept.odd.sum())
        changed = self._keep(signed, kept, stride)
        self._usual.learn(signed, now)
        for name, count in grown.items():
            place = self._kept.place(name)
            if place is None:
                continue
            row = self._kept.rows[place]
            if row[AT["burst"]] == 0 and not row[AT["station"]]:
                row[AT["burst"]] = math.log2(1 + min(count, 7.0))
                changed.add(name)
        return changed

    def _keep(self, signed: Signoffs, kept: Striking, stride: int) -> set[str]:
        """All that look odd, and of the others a sample that stands for the rest. Returns the names of the odd ones."""
        odd = np.flatnonzero(kept.odd)
        order = np.concatenate([odd, np.flatnonzero(~kept.odd)])
        rows = kept.rows[order]
        names = [name or "" for name in signed.table.labels("tracking_number", rows)]
        columns = [signed.table.coded(name) for name in Places._fields]
        self._kept.put_many(
            names,
            signed.occurred[rows],
            kept.features[order],
            np.where(kept.odd[order], 1.0, float(stride)),
            kept.blame[rows],
            [Coded(column.codes[rows], column.texts) for column in columns],
            self._spoken.__contains__,
        )
        return set(names[: len(odd)])

    def _odd(self, table: Table) -> set[str]:
        changed: set[str] = set()
        if not len(table):
            return changed
        for row in table.frame().iter_rows(named=True):
            feature, amount = ODD.get(row["oddity"], ("", 0.0))
            if not feature or (feature == "rescanned" and row["status"] in _ENDS):
                continue
            if not self._told_apart(row):
                continue
            if row["oddity"] == "paid_late" and self._later & {row["feed"], "*"}:
                continue
            if feature == "rescanned" and row["status"] in _BEFORE_WAY:
                feature = "impossible"
            name = row["tracking_number"]
            place = self._known(name, row, int(row["occurred"]))
            if place is None:
                continue
            self._kept.order[place] = row["oddity"] == "paid_late"
            self._kept.rows[place, AT[feature]] = max(self._kept.rows[place, AT[feature]], amount)
            changed.add(name)
        return changed

    def _told_apart(self, row: Mapping[str, Any]) -> bool:
        """Whether an odd scan and the one it is held against say which came first, and for `too_fast` how long after.

        A scan that knows only its day says neither of what else happened on that day.
        """
        at, before = row["occurred"], row["previous_occurred"] or row["occurred"]
        offset = offset_of(at, self._timezone)
        match row["oddity"]:
            case "after_end":
                return True
            case "too_fast":
                return not is_date(at, offset) and not is_date(before, offset)
            case "earlier_stage":
                return bool(max(at, before) >= day_ends(min(at, before), offset))
            case _:
                return bool(max(at, before) >= day_ends(at, offset))

    def _complain(self, frame: pl.DataFrame) -> set[str]:
        changed = set[str]()
        if not frame.height:
            return changed
        kept = self._kept
        for row in frame.iter_rows(named=True):
            name, signed = row["tracking_number"], row["delivered_at"]
            if name is None or signed is None or row["reason"] not in NOT_RECEIVED:
                continue
            if (
                row["status"] not in {"opened", "reopened", "withdrawn"}
                or not 0 <= row["occurred"] - signed <= LABEL_AFTER
            ):
                continue
            ordinary = name not in kept or name not in self._spoken
            place = self._known(name, row, signed)
            if place is None:
                continue
            if row["status"] == "withdrawn":
                kept.told[place] = 0.0
            elif kept.told[place] == 0.0:
                kept.weight[place] = 1.0  # whoever complains stands for nobody else
                kept.told[place] = math.log(min(max(WRITES / self._mistaken_rate(), 5.0), 500.0))
                self._mistaken[0] += 1.0 - float(self._scores(np.array([place]))[0]) if ordinary else 0.0
            changed.add(name)
        return changed

    def _mistaken_rate(self) -> float:
        return self._mistaken[0] / self._mistaken[1]

    def _known(self, name: str, row: Mapping[str, Any], occurred: Instant) -> int | None:
        """Its place. A sign-off that was not kept looked ordinary."""
        place = self._kept.place(name)
        if place is not None:
            return place
        features = np.zeros(len(FEATURES))
        places = Places(*(row[field] for field in Places._fields))
        excess = self._couriers.excess(self._couriers.rows([places.courier]))
        features[AT["courier"]] = float(np.clip(excess[0], -1.5, 3.0))
        return self._kept.put(name, occurred, features, places)

    # -- what to say

    def _scores(self, places: I64) -> F64:
        logits = self._model.logits(self._kept.rows[places]) + self._kept.told[places]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -FURTHEST, FURTHEST))), np.float64)

    def _judge(self, changed: set[str], now: Instant) -> list[Finding]:
        known = [(name, place) for name in sorted(changed) if (place := self._kept.place(name)) is not None]
        if not known:
            return []
        places = np.array([place for _, place in known])
        scores, weights = self._scores(places), self._model.weights.copy()
        more = scores - self._kept.counted[places]
        for at, courier in self._kept.couriers(places):
            self._couriers.correct(courier, float(more[at]))
        self._kept.counted[places] = scores
        spoken = [
            at
            for at, score in enumerate(scores.tolist())
            if score >= self._open or known[at][0] in self._spoken
        ]
        held = zip(spoken, scores[spoken].tolist(), self._kept.kept(places[spoken]), strict=True)
        found = (self._hold(known[at][0], kept, score, weights, now) for at, score, kept in held)
        return [finding for finding in found if finding is not None]

    def _hold(self, name: str, kept: Kept, score: float, weights: F64, now: Instant) -> Finding | None:
        subject = Subject(SubjectType.ORDER if kept.order else SubjectType.PARCEL, name)
        episode = self._parcels.get(subject)
        if score < self._open:
            if episode is not None and score < self._open / 2:
                return self._close(subject, now, CloseReason.ANSWERED)
            return None
        started = episode.started_at if episode is not None else min(kept.occurred, now)
        evidence = Deferred(parcel_evidence, name, kept, score, weights, self._usual.cases, self._timezone)
        found = self._parcels.hold(subject, started_at=started, now=now, score=score, evidence=evidence)
        if subject in self._parcels:
            self._spoken.add(name)
        return found

    def _close(self, subject: Subject, now: Instant, reason: CloseReason) -> Finding | None:
        found = self._parcels.close(subject, now, reason)
        if not any(
            Subject(one, subject.id) in self._parcels for one in (SubjectType.PARCEL, SubjectType.ORDER)
        ):
            self._spoken.discard(subject.id)
        return found

    def _judge_couriers(self, now: Instant) -> list[Finding]:
        found = []
        names = set(self._couriers.outstanding(2.5, self._deviations))
        for name in sorted(names):
            bad, signed, deviations = self._couriers.standing(name)
            score = 1.0 / (1.0 + math.exp(-(deviations - self._deviations) / 1.5))
            evidence = courier_evidence(name, bad, signed, self._couriers.rate(), deviations)
            subject = Subject(SubjectType.COURIER, name)
            known = self._people.get(subject)
            news = known is not None and bad >= 1.5 * float(known.evidence["suspect"])
            finding = self._people.hold(
                subject, started_at=now, now=now, score=score, evidence=evidence, news=news
            )
            found.append(finding)
        found.extend(
            self._people.close(episode.subject, now, CloseReason.RECOVERED)
            for episode in self._people.all()
            if episode.subject.id not in names and now - episode.seen_at > 7 * DAY
        )
        return [finding for finding in found if finding is not None]

    # -- what it taught

    def _label(self, now: Instant) -> None:
        """Silence of 48 hours speaks for a sign-off, but only as far as the cheated do write."""
        kept, due = self._kept, self._kept.older(now - LABEL_AFTER)
        if not len(due):
            return
        told = kept.told[due]
        false = self._model.learn_silence(kept.rows[due], told, kept.weight[due], WRITES)
        more = np.where(told == 0.0, false - kept.counted[due], 0.0)
        for at, courier in kept.couriers(due):
            self._couriers.correct(courier, float(more[at]))

    def _expire(self, now: Instant) -> list[Finding]:
        """Looks through what is open only when the one that was longest not heard of is due."""
        if now - self._unheard_since <= KEEP_FOR:
            return []
        over = [one.subject for one in self._parcels.all() if now - one.seen_at > KEEP_FOR]
        closed = (self._close(subject, now, CloseReason.EXPIRED) for subject in over)
        found = [finding for finding in closed if finding is not None]
        self._unheard_since = min((one.seen_at for one in self._parcels.all()), default=now)
        return found

    def _pass_time(self, now: Instant) -> None:
        if self._forgot_at is None:
            self._forgot_at = now
        days = min((now - self._forgot_at) / DAY, 60.0)
        if days >= 1.0:
            self._usual.forget(days)
            self._couriers.forget(days)
            self._mistaken = [value * 0.5 ** (days / 90.0) for value in self._mistaken]
            self._forgot_at = now

    def state(self) -> dict[str, Any]:
        return {
            "usual": self._usual.state(),
            "model": self._model.state(),
            "couriers": self._couriers.state(),
            "gestures": self._gestures.state(),
            "kept": self._kept.state(),
            "mistaken": list(self._mistaken),
            "forgot_at": self._forgot_at,
            "parcels": self._parcels.state(),
            "people": self._people.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("usual", "model", "couriers", "gestures", "parcels", "people"):
            getattr(self, f"_{name}").restore(state[name])
        self._kept.restore(state["kept"])
        self._mistaken = [float(value) for value in state["mistaken"]]
        self._spoken = {episode.subject.id for episode in self._parcels.all()}
        self._forgot_at = state["forgot_at"]
        self._unheard_since = 0
