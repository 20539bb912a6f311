"""`signature_suspect`: a parcel is said to be delivered and probably is not; and couriers with too many of those.

Rules give features (`signoff_features`), an online logistic model weighs them, and customers teach it: who writes
"not received" within 48 hours labels a sign-off as false, weakly, for half of those cheated never write. The answer to
a suspect signature is a question to the customer, never a coupon.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.clock import DAY, HOUR, offset_of
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.gestures import Gestures
from detectors.interfaces import Window
from detectors.peers import Peers
from detectors.river_adapter import OnlineLogistic
from detectors.signature_words import courier_evidence, parcel_evidence
from detectors.signoff_features import AT, FEATURES, INTERCEPT, PRIOR, Signoffs, Usual

F64 = npt.NDArray[np.float64]

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
_SAMPLE: Final = 200  # ordinary sign-offs a run that are kept to learn from


@dataclass(slots=True)
class Kept:
    """A sign-off that may still turn out false."""

    occurred: Instant
    row: list[float]
    told: float = 0.0  # log odds that complaints add
    weight: float = 1.0  # ordinary sign-offs that it stands for
    counted: float = 0.0  # what its courier was charged
    carrier: str | None = None
    courier: str | None = None
    facility: str | None = None
    region: str | None = None
    feed: str | None = None
    order: bool = False


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
        self._capacity = capacity
        self._deviations = courier_deviations
        self._later = frozenset(paid_on_delivery)
        self._usual = Usual()
        self._model = OnlineLogistic(PRIOR, INTERCEPT)
        self._couriers = Peers()
        self._gestures = Gestures()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._mistaken = [1.0, 700.0]  # complaints about sign-offs that looked ordinary, and such sign-offs
        self._forgot_at: Instant | None = None
        self._parcels = Episodes(self.name, Kind.SIGNATURE_SUSPECT, limit=100_000)
        self._people = Episodes(self.name, Kind.SIGNATURE_SUSPECT)

    def run(self, window: Window) -> list[Finding]:
        now = window.until
        self._pass_time(now)
        changed = self._sign(window.signoffs, now)
        changed |= self._odd(window.oddities)
        changed |= self._complain(window.complaints)
        found = [finding for name in sorted(changed) if (finding := self._judge(name, now)) is not None]
        found += self._judge_couriers(now)
        self._label(now)
        return found + self._expire(now)

    # -- what came

    def _sign(self, frame: pl.DataFrame, now: Instant) -> set[str]:
        if frame.is_empty():
            return set()
        signed = self._usual.read(frame, offset_of(now, self._timezone))
        together, grown = self._gestures.together(frame, now)
        couriers = self._couriers.rows(signed.couriers)
        rows = self._usual.features(signed, together, self._couriers.excess(couriers), self._digits)
        rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
        logits = self._model.logits(rows)
        own = rows[:, AT["courier"]] * self._model.weights[AT["courier"]]
        blame = 1.0 / (1.0 + np.exp(-(logits - own)))
        self._couriers.count(couriers, blame)
        self._usual.learn(signed)
        suspect = logits > math.log(self._open / (1 - self._open)) - 2.5
        self._mistaken[1] += float((~suspect).sum())
        self._keep(signed, rows, blame, suspect)
        changed = {signed.names[int(at)] for at in np.flatnonzero(suspect)}
        for name, count in grown.items():
            kept = self._kept.get(name)
            if kept is not None and kept.row[AT["burst"]] == 0 and not kept.row[AT["station"]]:
                kept.row[AT["burst"]] = math.log2(1 + min(count, 7.0))
                changed.add(name)
        return changed

    def _keep(self, signed: Signoffs, rows: F64, blame: F64, suspect: npt.NDArray[np.bool_]) -> None:
        """All that look odd, and of the others a sample that stands for the rest."""
        ordinary = np.flatnonzero(~suspect)
        stride = max(1, -(-len(ordinary) // _SAMPLE))
        for at in np.concatenate([np.flatnonzero(suspect), ordinary[::stride]]).tolist():
            self._put(
                signed.names[at],
                Kept(
                    occurred=int(signed.occurred[at]),
                    row=rows[at].tolist(),
                    weight=1.0 if suspect[at] else float(stride),
                    counted=float(blame[at]),
                    carrier=signed.carriers[at],
                    courier=signed.couriers[at],
                    facility=signed.facilities[at],
                    region=signed.regions[at],
                    feed=signed.feeds[at],
                ),
            )

    def _odd(self, frame: pl.DataFrame) -> set[str]:
        changed = set()
        for row in frame.iter_rows(named=True):
            feature, amount = ODD.get(row["oddity"], ("", 0.0))
            if not feature or (feature == "rescanned" and row["status"] in _ENDS):
                continue
            if row["oddity"] == "paid_late" and self._later & {row["feed"], "*"}:
                continue
            if feature == "rescanned" and row["status"] in _BEFORE_WAY:
                feature = "impossible"
            name = row["tracking_number"]
            kept = self._known(name, row, int(row["occurred"]))
            kept.order = row["oddity"] == "paid_late"
            kept.row[AT[feature]] = max(kept.row[AT[feature]], amount)
            changed.add(name)
        return changed

    def _complain(self, frame: pl.DataFrame) -> set[str]:
        changed = set()
        for row in frame.iter_rows(named=True):
            name, signed = row["tracking_number"], row["delivered_at"]
            if name is None or signed is None or row["reason"] not in NOT_RECEIVED:
                continue
            if (
                row["status"] not in {"opened", "reopened", "withdrawn"}
                or not 0 <= row["occurred"] - signed <= LABEL_AFTER
            ):
                continue
            ordinary = name not in self._kept or not self._parcels_has(name)
            kept = self._known(name, row, signed)
            if row["status"] == "withdrawn":
                kept.told = 0.0
            elif kept.told == 0.0:
                kept.told = math.log(min(max(WRITES / self._mistaken_rate(), 5.0), 500.0))
                self._mistaken[0] += 1.0 - self._score(kept) if ordinary else 0.0
            changed.add(name)
        return changed

    def _mistaken_rate(self) -> float:
        return self._mistaken[0] / self._mistaken[1]

    def _known(self, name: str, row: Mapping[str, Any], occurred: Instant) -> Kept:
        """A sign-off that was not kept looked ordinary."""
        kept = self._kept.get(name)
        if kept is None:
            kept = Kept(occurred, [0.0] * len(FEATURES))
            for field in ("carrier", "courier", "facility", "region", "feed"):
                setattr(kept, field, row[field])
            excess = self._couriers.excess(self._couriers.rows([kept.courier]))
            kept.row[AT["courier"]] = float(np.clip(excess[0], -1.5, 3.0))
            self._put(name, kept)
        return kept

    def _put(self, name: str, kept: Kept) -> None:
        before = self._kept.pop(name, None)
        if before is not None:  # heard of before it was signed, or signed twice
            kept.row = [
                max(old, new) if at != AT["courier"] else new
                for at, (old, new) in enumerate(zip(before.row, kept.row, strict=True))
            ]
            kept.told = before.told
            kept.occurred = before.occurred if self._parcels_has(name) else kept.occurred
        self._kept[name] = kept
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    # -- what to say

    def _parcels_has(self, name: str) -> bool:
        return (
            Subject(SubjectType.PARCEL, name) in self._parcels
            or Subject(SubjectType.ORDER, name) in self._parcels
        )

    def _score(self, kept: Kept) -> float:
        logit = float(self._model.logits(np.array([kept.row]))[0]) + kept.told
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))

    def _judge(self, name: str, now: Instant) -> Finding | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        score = self._score(kept)
        self._couriers.correct(kept.courier, score - kept.counted)
        kept.counted = score
        subject = Subject(SubjectType.ORDER if kept.order else SubjectType.PARCEL, name)
        episode = self._parcels.get(subject)
        if score < self._open:
            if episode is not None and score < self._open / 2:
                return self._parcels.close(subject, now, CloseReason.ANSWERED)
            return None
        evidence = parcel_evidence(name, kept, score, self._model.weights, self._usual.cases, self._timezone)
        started = episode.started_at if episode is not None else min(kept.occurred, now)
        return self._parcels.hold(subject, started_at=started, now=now, score=score, evidence=evidence)

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
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if now - kept.occurred < LABEL_AFTER:
                break
            self._kept.pop(name)
            score = self._score(kept)
            false = score if kept.told else score * (1 - WRITES) / (1 - score * WRITES)
            row = np.array(kept.row)
            self._model.learn(row, label=True, weight=kept.weight * false)
            self._model.learn(row, label=False, weight=kept.weight * (1 - false))
            if not kept.told:
                self._couriers.correct(kept.courier, false - kept.counted)

    def _expire(self, now: Instant) -> list[Finding]:
        over = [one for one in self._parcels.all() if now - one.seen_at > KEEP_FOR]
        closed = (self._parcels.close(one.subject, now, CloseReason.EXPIRED) for one in over)
        return [finding for finding in closed if finding is not None]

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
            "kept": [[name, *astuple(kept)] for name, kept in self._kept.items()],
            "mistaken": list(self._mistaken),
            "forgot_at": self._forgot_at,
            "parcels": self._parcels.state(),
            "people": self._people.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("usual", "model", "couriers", "gestures", "parcels", "people"):
            getattr(self, f"_{name}").restore(state[name])
        self._kept = OrderedDict((name, Kept(*values)) for name, *values in state["kept"])
        self._mistaken = [float(value) for value in state["mistaken"]]
        self._forgot_at = state["forgot_at"]
