"""What the plain twin knows of a parcel or order, by which rules it judges, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[int, int]
Lane: TypeAlias = tuple[int, int, int]  # carrier, origin zone, destination zone


@dataclass(slots=True)
class Life:
    key: Key
    is_order: bool = False
    finished: bool = False
    last_scan: int = 0
    segment_since: int = 0
    promised: int = 0
    accepted: int = 0
    out_for_delivery: int = 0
    destination: int = 0
    region: int = 0
    facility: int = 0
    lane: Lane = (0, 0, 0)
    carrier: int = 0
    source: int = 0
    status: int = 0
    segment: int = 0
    open: int = 0
    history: bool = False
    promise_told: bool = False
    in_place: bool = False
    abroad: bool = False
    joined: bool = False
    ordered: int = 0
    estimated: int = 0
    courier: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    max_slots: int
    history: int
    lost: int
    lost_abroad: int
    forget: int
    finished: int
    reuse: int
    too_fast: int
    patience: int
    preorder: int


@dataclass(slots=True)
class Told:
    """Marks are (key, at, closed, reason, lost); endings (key, occurred ms, status, previous status); oddities (key, oddity)."""

    marks: list[tuple[Key, int, int, int, int]] = field(default_factory=list)
    endings: list[tuple[Key, int, int, int]] = field(default_factory=list)
    oddities: list[tuple[Key, int]] = field(default_factory=list)
