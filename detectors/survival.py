"""Learned durations of legs: an online Kaplan-Meier estimate a segment, carrier and lane, in business time.

A *case* is a leg that ended: the time from one scan to the next in a segment. Legs still open are counted by their
age now and again (the census) and censored there. Cases fade with a half-life, and the census is always the latest,
so the estimate follows the last weeks. A lane's hazard in each bin is drawn towards its group's (its carrier; on the
road all carriers of its way, as distance says more there), and that towards the segment's, as if `shrink_cases` further cases had behaved like them: a lane with three parcels borrows, a lane with
a thousand speaks for itself.

A leg is stalled `margin_hours` after `stretch` times what all but `share` of its lane needed; floors and ceilings hold
whatever was learned, and a leg with fewer than `ready_cases` cases uses its default and says so (`Usual.cases` is 0).
What follows the bulk is a mixture of slow parcels, which soon move, and stuck ones. A margin in hours parts them where
a smaller share alone cannot, as stuck ones are stuck for days on all lanes; on the road the slow ones are slow in
proportion to the way. A wait in a facility whose end nobody scanned lasts until the next arrival, so its limit is not
below a part of the lane's limit on the way onward. Where all stands still (`quick`), being slow is no chance: in a
facility, which may be jammed and still send some on, soon after nearly all of the lane would have moved; elsewhere only
a stopped region is meant, and half of the lane is enough.

What is known of a lane seldom changes within an hour. So a lane's leg is estimated anew once its cases have grown by a
tenth of what its answer hangs on, its own and those it borrows; a leg of all lanes, and what they borrow, once its cases
have in all, twice a day, and when a lane is new. A leg's hazards move by no more than that meanwhile, even where its
cases are all of another kind than before. What a census counted and what faded waits for the next estimate of all.

*Leg* is the caller's number of where a parcel waits: segments first, then finer ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from detectors import kernels
from detectors.kernels import BINS

NAME: Final = "stall"
WHOLE_WAY: Final = 0  # the segment under which accepted-to-delivered times are learned, in wall-clock seconds
HOUR: Final = 3600.0
USUALLY_STAYING: Final = 0.6  # of what reaches its limit, `ahead` longer; and the cases that this weighs
FEW: Final = 5.0
STUCK_LASTS: Final = 0.5  # of stuck legs, a further day once they are stalled; measured in simulated worlds
_SHARES: Final = 3  # of a lane, for which durations are asked
_DAY_MS: Final = 86_400_000
NEWS: Final = 0.1  # cases since the last estimate, of all that it hangs on, that call for another
GROWN: Final = 0.2  # likewise, since a census: what it counted as open has mostly ended by then
ALL_AFTER: Final = 12 * 3_600_000  # milliseconds


class Limits(Protocol):
    """As `config.detection.SegmentLimits`: hours."""

    @property
    def floor_hours(self) -> float: ...
    @property
    def default_hours(self) -> float: ...
    @property
    def ceiling_hours(self) -> float: ...
    @property
    def margin_hours(self) -> float: ...
    @property
    def stretch(self) -> float: ...
    @property
    def share(self) -> float: ...
    @property
    def sure(self) -> float: ...


class Options(Protocol):
    """As `config.detection.StallSettings`."""

    @property
    def alpha(self) -> float: ...
    @property
    def ahead_hours(self) -> float: ...
    @property
    def jam_margin_hours(self) -> float: ...
    @property
    def stop_margin_hours(self) -> float: ...
    @property
    def onward_share(self) -> float: ...
    @property
    def onward_hours(self) -> float: ...
    @property
    def half_life_days(self) -> float: ...
    @property
    def shrink_cases(self) -> float: ...
    @property
    def ready_cases(self) -> float: ...
    def by_leg(self) -> Sequence[Limits]: ...


class Usual(NamedTuple):
    """What is usual for one lane and segment. Times are seconds; `expected` is the median, None when not known."""

    expected: float | None
    limit: float
    cases: int


class _Work(NamedTuple):
    """What an estimate works in; see `detectors.kernels`. A group is one of any leg, those of a leg side by side."""

    first: Any  # [leg]: its first group
    seen: Any  # [lane, leg]
    gathered: Any  # [ended or still open, group, bin]
    common: Any  # [ended or still open, bin]
    nobody: Any  # [bin]
    total: Any  # [leg]: cases
    lead: Any  # [leg]: the first bin in which any ended
    times: Any  # [group, share]
    at_risk: Any  # [bin]
    own_times: Any  # [share]
    reaching: Any  # [leg, 2]

    @classmethod
    def of(cls, lanes: int, groups: npt.NDArray[Any]) -> _Work:
        """`groups`: how many each leg has."""
        legs, every = len(groups), int(groups.sum())
        return cls(
            first=np.cumsum(groups) - groups,
            seen=np.zeros((lanes, legs), np.bool_),
            gathered=np.zeros((2, every, BINS)),
            common=np.zeros((2, BINS)),
            nobody=np.zeros(BINS),
            total=np.zeros(legs),
            lead=np.zeros(legs, np.int64),
            times=np.zeros((every, _SHARES)),
            at_risk=np.zeros(BINS),
            own_times=np.zeros(_SHARES),
            reaching=np.zeros((legs, 2)),
        )


_BORROWED: Final = ("seen", "total", "lead", "times")


class Durations:
    """Arrays [lane, segment, bin] and what is drawn from them. Lane 0 gathers the lanes that found no room."""

    def __init__(
        self,
        lanes: int,
        segments: int,
        options: Options,
        onward: Mapping[int, int] | None = None,
        jammed: Collection[int] = (),
    ) -> None:
        """`onward`: from the legs that end with a departure to those that begin with it, which are on the road.
        `jammed`: the legs that a jam slows.
        """
        self._options = options
        shape = (lanes, segments)
        self.ends = np.zeros((*shape, BINS), np.float32)
        self.still = np.zeros((*shape, BINS), np.float32)  # the latest whole census
        self.counting = np.zeros((*shape, BINS), np.float32)  # the one under way
        self.limit = np.zeros(shape, np.uint32)
        self.quick = np.zeros(shape, np.uint32)
        self.median = np.zeros(shape, np.float32)
        self.cases = np.zeros(shape, np.float32)  # as last estimated
        self.news = np.zeros(shape, np.float32)  # cases since then
        self._by_segment = np.zeros((segments, BINS))
        self._by_group = np.zeros((1, segments, BINS))
        self._group_of = np.zeros((segments, lanes), np.int64)
        self._groups = np.zeros(segments, np.int64)  # how many there are
        self._work = _Work.of(0, self._groups)
        self._grouped = 0  # lanes whose groups are known
        self._cases_then = 0.0  # all at the latest census
        self._used = np.zeros(
            segments
        )  # by leg, news since all its lanes were estimated that some have been anew by
        self.estimated_at = 0
        self._faded_at = np.zeros(segments, np.int64)  # when all lanes of a leg were estimated last
        limits = options.by_leg()
        far = float(np.iinfo(np.uint32).max)
        self._floor = np.array([far] + [limit.floor_hours * HOUR for limit in limits])
        self._default = np.array([far] + [limit.default_hours * HOUR for limit in limits])
        # Seconds of business time beyond which a leg is stalled whatever was learned.
        self.ceiling = np.array([far] + [limit.ceiling_hours * HOUR for limit in limits])
        self._margin = np.array([0.0] + [limit.margin_hours * HOUR for limit in limits])
        self._stretch = np.array([1.0] + [limit.stretch for limit in limits])
        share = np.array([0.5] + [limit.share for limit in limits])
        self._sure = np.array([0.0] + [limit.sure for limit in limits])
        in_jams = np.isin(np.arange(segments), list(jammed))
        asked = np.stack([share, np.full(segments, 0.5), np.where(in_jams, options.alpha, 0.5)], axis=1)
        falling = np.argsort(-asked, axis=1)
        self._shares = np.take_along_axis(asked, falling, axis=1)
        self._ranks = np.argsort(falling, axis=1)  # of the limit's, the median's and `quick`'s
        self._quick_margin = np.where(in_jams, options.jam_margin_hours, options.stop_margin_hours) * HOUR
        self._onward = np.full(segments, -1)
        for leg, then in (onward or {}).items():
            self._onward[leg] = then
        self.staying = np.zeros(segments)
        self.limit[:] = self._default.astype(np.uint32)
        self.quick[:] = self.limit

    def finish_census(self, lanes: int) -> None:
        self.still, self.counting = self.counting, self.still
        self.counting[: lanes + 1] = 0
        self._cases_then = self._all_cases(lanes)

    def grown(self, lanes: int) -> bool:
        """Whether much was learned since the latest census."""
        return self._all_cases(lanes) > (1 + GROWN) * self._cases_then

    def _all_cases(self, lanes: int) -> float:
        return float(self._work.total.sum() + self._news(lanes).sum())

    def refresh(self, now: int, carrier_of: npt.NDArray[Any], way_of: npt.NDArray[Any], lanes: int) -> None:
        """As `estimate`, of as much as there is news of."""
        news = self._news(lanes)
        wanted = np.ones(len(self.staying), np.bool_)
        if lanes + 1 == self._grouped:
            known = np.maximum(self._work.total + self._options.shrink_cases, 1.0)
            wanted = (now - self._faded_at >= ALL_AFTER) | (news > NEWS * known)
        self._estimate(now, carrier_of, way_of, lanes, wanted, news)

    def estimate(self, now: int, carrier_of: npt.NDArray[Any], way_of: npt.NDArray[Any], lanes: int) -> None:
        """Fade to `now` (milliseconds) and estimate lanes 0..lanes; each lane's carrier, and its way without it."""
        every = np.ones(len(self.staying), np.bool_)
        self._estimate(now, carrier_of, way_of, lanes, every, self._news(lanes))

    def _news(self, lanes: int) -> npt.NDArray[Any]:
        """By leg, cases since all its lanes were estimated."""
        return np.asarray(self.news[: lanes + 1].sum(axis=0) + self._used)

    def _estimate(
        self,
        now: int,
        carrier_of: npt.NDArray[Any],
        way_of: npt.NDArray[Any],
        lanes: int,
        wanted: npt.NDArray[np.bool_],
        before: npt.NDArray[Any],
    ) -> None:
        """Of the legs `wanted` all lanes, of others those with news; `before` is the news of each leg."""
        if lanes + 1 != self._grouped:
            self._group(carrier_of[: lanes + 1], way_of[: lanes + 1])
        self.estimated_at = now
        if wanted.any():
            self._borrow(now, lanes, wanted)
        self._draw(lanes, wanted)
        self._used = np.where(wanted, 0.0, before - self.news[: lanes + 1].sum(axis=0))

    def _borrow(self, now: int, lanes: int, wanted: npt.NDArray[np.bool_]) -> None:
        """Fades, and finds what lanes borrow."""
        days = np.where(self._faded_at > 0, now - self._faded_at, 0) / _DAY_MS
        self._faded_at[wanted] = now
        fade = (0.5 ** (days / self._options.half_life_days)).astype(np.float32)
        work = self._work
        kernels.gather(
            self.ends,
            self.still,
            fade,
            wanted,
            self._group_of,
            work.first,
            self._groups,
            lanes,
            work.seen,
            work.gathered,
        )
        kernels.borrow(
            work.gathered,
            wanted,
            work.first,
            self._groups,
            float(self._options.shrink_cases),
            self._shares,
            work.common,
            work.nobody,
            work.total,
            work.lead,
            self._by_segment,
            self._by_group,
            work.times,
        )

    def _draw(self, lanes: int, wanted: npt.NDArray[np.bool_]) -> None:
        work = self._work
        kernels.estimate(
            self.ends,
            self.still,
            work.seen,
            self._group_of,
            work.first,
            lanes,
            self._shares,
            self._ranks,
            float(self._options.shrink_cases),
            float(self._options.ready_cases),
            self._floor,
            self._default,
            self.ceiling,
            self._stretch,
            self._margin,
            self._onward,
            float(self._options.onward_share),
            float(self._options.onward_hours * HOUR),
            self._quick_margin,
            float(self._options.ahead_hours * HOUR),
            wanted,
            self.news,
            NEWS,
            work.total,
            work.lead,
            self._by_group,
            work.times,
            work.at_risk,
            work.own_times,
            work.reaching,
            self.limit,
            self.quick,
            self.median,
            self.cases,
        )
        staying = (work.reaching[:, 1] + USUALLY_STAYING * FEW) / (work.reaching[:, 0] + FEW)
        self.staying[wanted] = staying[wanted]

    def _group(self, carrier_of: npt.NDArray[Any], way_of: npt.NDArray[Any]) -> None:
        """What each lane borrows from. What a lane stands for never changes, so only new ones are news."""
        lanes, segments = len(carrier_of), self.ends.shape[1]
        on_the_road = np.isin(np.arange(segments), self._onward)
        for legs, names in ((~on_the_road, carrier_of), (on_the_road, way_of)):
            known, compact = np.unique(names, return_inverse=True)
            self._groups[legs] = len(known)
            self._group_of[legs, :lanes] = compact
        self._by_group = np.zeros((int(self._groups.max()), segments, BINS))
        self._work = _Work.of(lanes, self._groups)
        self._grouped = lanes

    def hazard(self, lane: int, segment: int) -> npt.NDArray[np.float64]:
        """Per bin, of one lane as it is now, drawn towards its group as last estimated."""
        out = np.zeros(BINS)
        parent = self._by_group[min(int(self._group_of[segment, lane]), len(self._by_group) - 1), segment]
        weight = float(self._options.shrink_cases)
        kernels.hazards(self.ends[lane, segment], self.still[lane, segment], parent, weight, out)
        return out

    @property
    def sure(self) -> npt.NDArray[np.float64]:
        """By leg, that one at its limit is truly stuck: what such stalls have come to, less where what reaches the limit
        lasts a further `ahead_hours` more seldom than stuck ones do.
        """
        return self._sure * np.minimum(self.staying / STUCK_LASTS, 1.0)

    def remaining(self, lane: int, segment: int, age: float, shares: Sequence[float]) -> list[float] | None:
        """Durations at which these shares of the legs that reached `age` have ended; None: too little is known."""
        hazard = self.hazard(lane, segment)
        alive = kernels.alive_at(hazard, age)
        if not self.median[lane, segment] or alive < 1e-6:
            return None
        times = [kernels.when_below(hazard, alive * (1.0 - share)) for share in shares]
        return times if all(map(math.isfinite, times)) else None

    def state(self, lanes: int) -> dict[str, Any]:
        """For msgpack: lanes 0..lanes, sparse cells as they are."""
        return {
            "lanes": lanes,
            "bins": BINS,
            "legs": self.ends.shape[1],
            "ends": self.ends[: lanes + 1].tobytes(),
            "still": self.still[: lanes + 1].tobytes(),
            "counting": self.counting[: lanes + 1].tobytes(),
            "limit": self.limit[: lanes + 1].tobytes(),
            "quick": self.quick[: lanes + 1].tobytes(),
            "median": self.median[: lanes + 1].tobytes(),
            "cases": self.cases[: lanes + 1].tobytes(),
            "news": self.news[: lanes + 1].tobytes(),
            "used": self._used.tolist(),
            "cases_then": self._cases_then,
            "estimated_at": self.estimated_at,
            "faded_at": self._faded_at.tolist(),
            "group_of": self._group_of[:, : lanes + 1].tobytes(),
            "by_segment": self._by_segment.tobytes(),
            "by_group": self._by_group.tobytes(),
            "staying": self.staying.tobytes(),
            "grouped": self._grouped,
            "borrowed": {name: getattr(self._work, name).tobytes() for name in _BORROWED},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if state["bins"] != BINS:
            raise ValueError(f"a checkpoint of {state['bins']} duration bins, and this version has {BINS}")
        legs, rows = state["legs"], state["lanes"] + 1
        if legs > self.ends.shape[1]:
            raise ValueError(f"a checkpoint of {legs} legs, and this version has {self.ends.shape[1]}")
        for name in ("ends", "still", "counting", "limit", "quick", "median", "cases"):
            array = getattr(self, name)
            saved = state.get(name, state["limit"])  # `quick` is younger than the format
            array[:rows, :legs] = np.frombuffer(saved, array.dtype).reshape(rows, legs, *array.shape[2:])
        if "group_of" in state:
            groups = np.frombuffer(state["group_of"], np.int64).reshape(legs, rows)
        else:  # a checkpoint of lanes that borrowed from carriers only
            groups = np.tile(np.frombuffer(state["carriers"], np.int64), (legs, 1))
        self._group_of[:legs, :rows] = groups
        by_group = np.frombuffer(state.get("by_group", state.get("by_carrier"))).reshape(-1, legs, BINS)
        self._by_segment[:legs] = np.frombuffer(state["by_segment"]).reshape(legs, BINS)
        self._by_group = np.zeros((len(by_group), self.ends.shape[1], BINS))
        self._by_group[:, :legs] = by_group
        self._grouped = 0
        self.staying[:legs] = np.frombuffer(state["staying"])
        self.estimated_at = state["estimated_at"]
        self._faded_at[:legs] = state.get("faded_at", self.estimated_at)
        if "news" in state:  # younger than the format
            self.news[:rows, :legs] = np.frombuffer(state["news"], np.float32).reshape(rows, legs)
            self._used[:legs], self._cases_then = state["used"], state["cases_then"]
        if not state.get("grouped") or legs < self.ends.shape[1]:
            return  # all are estimated next
        self._grouped = state["grouped"]
        self._groups = groups[:, : self._grouped].max(axis=1) + 1
        self._work = _Work.of(self._grouped, self._groups)
        for name, saved in state["borrowed"].items():
            array = getattr(self._work, name)
            array[:] = np.frombuffer(saved, array.dtype).reshape(array.shape)
