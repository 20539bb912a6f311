"""What an operator can set about detection. The defaults' sources are in `docs/detection.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from config.calendars import DEFAULT_RULES, CalendarRule
from config.section import Section


class SegmentLimits(Section):
    """Hours of business time without a scan: `default_hours` until enough cases taught better."""

    floor_hours: float = Field(gt=0)
    default_hours: float = Field(gt=0)
    ceiling_hours: float = Field(gt=0, le=24 * 60)
    share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="of the lane's parcels that need longer than what is stretched: half is the median",
    )
    stretch: float = Field(
        1, gt=0, le=10, description="times what all but `share` need: slow roads are slow in proportion"
    )
    margin_hours: float = Field(24, gt=0, description="added to it")
    sure: float = Field(0.8, gt=0, le=1, description="score of such a stall: the share of them that are true")

    @model_validator(mode="after")
    def _ordered(self) -> SegmentLimits:
        if not self.floor_hours <= self.default_hours <= self.ceiling_hours:
            raise ValueError("floor_hours <= default_hours <= ceiling_hours must hold")
        return self


def _limits(
    floor: float,
    default: float,
    ceiling: float,
    margin: float = 24,
    *,
    stretch: float = 1,
    share: float = 0.5,
    sure: float = 0.8,
) -> SegmentLimits:
    return SegmentLimits(
        floor_hours=floor,
        default_hours=default,
        ceiling_hours=ceiling,
        margin_hours=margin,
        stretch=stretch,
        share=share,
        sure=sure,
    )


class StallSettings(Section):
    alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="in a congested facility a parcel is stalled `jam_margin_hours` after all but this share have moved",
    )
    jam_margin_hours: float = Field(
        8, gt=0, description="in a congested facility, where a slow parcel is no chance"
    )
    stop_margin_hours: float = Field(
        6,
        gt=0,
        description="where nothing moves in a region, outside facilities: stalled so long after half of its lane have moved",
    )
    onward_share: float = Field(
        0.65,
        ge=0,
        le=2,
        description="of the limit on the way onward: waits in a facility are no shorter than that",
    )
    onward_hours: float = Field(
        6, ge=0, description="added to it: a departure that nobody scanned looks like a wait"
    )
    patience_hours: float = Field(
        31.5,
        gt=0,
        description="a parcel waiting to be fetched for so long is stalled when its promise passes",
    )
    preorder_days: float = Field(
        1,
        ge=0,
        description="an order that need not leave within its leg's ceiling waits for its goods: no stall until its way and so many"
        " days are left",
    )
    half_life_days: float = Field(14, gt=0, description="after which a learned duration counts half")
    shrink_cases: float = Field(
        5,
        ge=0,
        description="cases a lane needs to weigh as much as its carrier, and a carrier as its segment",
    )
    ready_cases: float = Field(30, ge=1, description="cases of a segment before anything learned is used")
    ahead_hours: float = Field(
        24, gt=0, description="a stall is less sure where few legs that reach their limit last so much longer"
    )
    census_hours: float = Field(
        6,
        gt=0,
        description="between two countings of the parcels still open; where little is learned, twice that",
    )
    fulfilment: SegmentLimits = _limits(24, 72, 240, 36, share=0.05, sure=0.2)
    pickup: SegmentLimits = _limits(24, 48, 72, 39, stretch=2.5, sure=0.8)
    origin: SegmentLimits = _limits(12, 48, 96, 48, sure=0.5)
    facility: SegmentLimits = _limits(12, 48, 96, sure=0.92)
    linehaul: SegmentLimits = _limits(12, 48, 144, 6, stretch=2.4, share=0.2, sure=0.88)
    customs: SegmentLimits = _limits(24, 120, 360, 40, stretch=2.5, share=0.2, sure=0.2)
    cleared: SegmentLimits = _limits(12, 96, 144, 36, share=0.2, sure=0.5)
    station: SegmentLimits = _limits(12, 24, 60, stretch=2, sure=0.94)
    delivery: SegmentLimits = _limits(12, 24, 96, 39, stretch=2, share=0.2, sure=0.65)
    again: SegmentLimits = _limits(12, 48, 144, 72, stretch=1.6, sure=0.15)
    collection: SegmentLimits = _limits(24, 48, 96, 51, sure=0.55)
    returns: SegmentLimits = _limits(72, 168, 480, 96, sure=0.6)
    refund: SegmentLimits = _limits(48, 72, 360, 48, sure=0.65)

    @model_validator(mode="before")
    @classmethod
    def _the_rest_as_usual(cls, given: Any) -> Any:
        """A leg of which some keys are given keeps the others of its own defaults."""
        if not isinstance(given, Mapping):
            return given
        filled = dict(given)
        for name, value in given.items():
            field = cls.model_fields.get(name)
            if field is not None and isinstance(field.default, SegmentLimits) and isinstance(value, Mapping):
                filled[name] = {**field.default.model_dump(), **value}
        return filled

    def by_leg(self) -> tuple[SegmentLimits, ...]:
        """In the order of `monitor.vocabulary.Segment`, from its second member on, then the legs within segments."""
        return (
            self.fulfilment,
            self.pickup,
            self.facility,
            self.linehaul,
            self.customs,
            self.delivery,
            self.collection,
            self.returns,
            self.refund,
            self.station,
            self.again,
            self.origin,
            self.cleared,
        )


class FeedSilenceSettings(Section):
    floor_minutes: float = Field(45, gt=0, description="no feed is called silent sooner")
    surprise: float = Field(
        1e-4, gt=0, lt=0.1, description="how improbable the silence must be for this hour of the week"
    )
    ready_events: int = Field(200, ge=1, description="events of a feed before its silence means anything")
    ready_hours: float = Field(24, ge=0)


class DetectionSettings(Section):
    lane_level: int = Field(2, ge=1, le=6, description="digits of a region code that make a lane's ends")
    max_lanes: int = Field(16_384, ge=16, description="lanes learned apart; more share one")
    lost_days: float = Field(7, gt=0, description="since the last scan, five sevenths of them worked")
    lost_days_abroad: float = Field(20, gt=0, description="likewise, of parcels that cross a border")
    forget_days: float = Field(60, gt=1, description="a parcel without a scan for so long leaves")
    finished_days: float = Field(
        5, ge=0, description="an ended parcel stays so long, for scans after the end"
    )
    reuse_days: float = Field(
        30, gt=0, description="a first scan after so long is a new parcel of that number"
    )
    too_fast_minutes: float = Field(20, ge=0, description="scans in two provinces closer than this cannot be")
    paid_on_delivery_feeds: tuple[str, ...] = Field(
        (),
        description="shops (`source` of their orders; * for all) with cash on delivery: there an order that is paid after it"
        " was shipped is nothing odd",
    )
    learning_hours: float = Field(
        24, ge=0, description="findings of a feed first heard less long ago are marked `learning`"
    )
    catch_up_minutes: float = Field(
        15, gt=0, description="a feed has caught up when its newest event is no older than this"
    )
    catch_up_limit_hours: float = Field(
        12, gt=0, description="the longest hold after the daemon was down, or on mere doubt of a feed"
    )
    settle_minutes: float = Field(
        60, ge=0, description="a feed that speaks again is held so long: its backlog does not come at once"
    )
    backlog_hours: float = Field(
        2,
        gt=0,
        description="so long after a feed speaks again: if half of what was expected in its silence has come by then, who"
        " was not heard of stood still",
    )
    look_hours: float = Field(3, gt=0, description="between two looks of the parcel detectors at a parcel")
    refresh_minutes: float = Field(60, gt=0, description="between two estimates of what is usual")
    remembered_events: int = Field(1_048_576, ge=4096, description="event ids kept to know repeats by")
    stalls: StallSettings = StallSettings()
    feed_silence: FeedSilenceSettings = FeedSilenceSettings()
    calendars: tuple[CalendarRule, ...] = Field(
        DEFAULT_RULES, min_length=1, max_length=200, description="the last rule counts where none fits"
    )
