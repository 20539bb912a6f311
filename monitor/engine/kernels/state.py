"""The arrays that kernels share, as named tuples: numba compiles these, and `self.` stays out of the loops."""

from __future__ import annotations

from typing import Any, NamedTuple


class Table(NamedTuple):
    """The parcel table. Bucket b owns slots[b * room : (b + 1) * room] and uses the first size[b] of them."""

    slots: Any  # SLOT
    background: Any  # BACKGROUND, beside slots
    room: int
    size: Any  # i8 per bucket
    used: Any  # i8 per bucket: live and finished
    due: Any  # u4 beside slots: their `due`, FAR where free; all that a sweep reads of a slot that may wait
    soonest: Any  # u4 per bucket: no slot is due earlier
    promises: Any  # u1 per bucket: whether a live parcel may have a promise
    lingering: Any  # u1 per bucket: whether one that is over may stay longer than others, see `stays_for`
    seen: Any  # u8 [bucket, line, generation, place]: ids of events, see `repeats`; a line is a cache line
    seen_count: Any  # i8 [bucket, generation]
    seen_young: Any  # u1 per bucket: the generation that is being filled
    spare: Any  # SLOT, for growing a bucket
    spare_background: Any  # BACKGROUND
    mixed: Any  # u8, hashes of the rows in work
    found: Any  # i8, where their slots were


class World(NamedTuple):
    """What parcels are judged by and what is counted."""

    places: Any  # PLACE per region code
    calendar: Any  # u1 [carrier, zone]: row of worked
    worked: Any  # u4 [calendar, hour]
    lane_keys: Any  # u8, open addressed; 0 is free
    lane_codes: Any  # u4, beside lane_keys
    lanes: Any  # LANE per lane code; 0 is every other lane
    limit: Any  # u4 [lane, leg]: business seconds without a scan that make a stall
    quick: Any  # u4 [lane, leg]: likewise in a jammed facility or a stopped region, where slow is no chance
    ceiling: Any  # f8 [leg]: business seconds beyond which a limit only lies where a lane's own cases say so
    median: Any  # f4 [lane, leg]: business seconds; 0 is not known
    ends: Any  # f4 [lane, leg, bin]: learned durations; leg NONE is the whole way
    news: Any  # f4 [lane, leg]: of `ends`, cases since its estimate
    passed: Any  # PASSED [lane, segment]
    relays: Any  # f4 [lane, zone]: parcels that a census found in a facility there, between the lane's ends; fading
    via: Any  # u2 [lane]: the zone through which its parcels usually go; 0 is none
    facilities: Any  # FACILITY per facility code
    jammed: Any  # u1 per facility code
    stopped: Any  # u1 per zone: nothing moves there; of zone 0, whether any is
    stop_from: Any  # u4 per zone: its last stop
    stop_until: Any  # u4; FAR while it lasts
    feeds: Any  # FEED per source code
    region_keys: Any  # u8, open addressed
    region_codes: Any  # u4
    regions: Any  # REGION per pair code; 0 is every other
    hold: Any  # u1 per source: its parcels' stalls are held back
    outage_from: Any  # u4 [source, OUTAGES]: its last silences, the newest first
    outage_until: Any  # u4; 0 where there were no more
    quiet_from: Any  # u4 per source: its last silence, and until when its backlog came in, or still may
    quiet_until: Any  # u4
    hiding: Any  # i4 [carrier, source]: its legs that move, of silent feeds; counted by the census under way
    voice: Any  # u2 per carrier: the feed that tells of it, known once it fell silent; 0 is not known
    outcomes: Any  # i8 per Outcome
    counts: Any  # i8, see below
    rules: Any  # i8, see below


class Waited(NamedTuple):
    """Parcels under way that were handed over, by the half days since (the cells of `detectors.transit`)."""

    by_age: Any  # i8 [cell]
    by_lane: Any  # u4 [cell, lane]; those of no lane after the lanes, by their carrier


RELAY_ZONES = 128  # the first ones heard of; more are nobody's relay
OUTAGES = 4  # silences of a feed that are known; older ones weigh on parcels again

# World.counts
LIVE_PARCELS = 0
USED_SLOTS = 1
LANES = 2
REGION_PAIRS = 3
STOPS = 4  # whether there ever was one: without any, nobody asks what it taught
COUNTS = 5

# World.rules: settings as integers, seconds
MAX_SLOTS = 0
HISTORY_SECONDS = 1
LOST_SECONDS = 2
LOST_ABROAD_SECONDS = 3
FORGET_SECONDS = 4
FINISHED_SECONDS = 5
REUSE_SECONDS = 6
TOO_FAST_SECONDS = 7
SEEN_LIMIT = 8
CALENDAR_START = 9
HOLD_SECONDS = 10
PATIENCE_SECONDS = 11
PREORDER_SECONDS = 12
RULES = 13
