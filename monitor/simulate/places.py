"""The anomalies of places: hubs that choke, provinces in a storm, silent feeds, slow carriers, waves, bad couriers."""

from __future__ import annotations

import numpy as np
import polars as pl

from monitor.simulate.cohort import Cohort
from monitor.simulate.network import CARRIERS, Floats, network
from monitor.simulate.rhythm import HOUR
from monitor.simulate.signing import Trace
from monitor.simulate.tables import Tables

CHOKED = 12 * HOUR  # mean wait of those ready within a bin
BIN = 6 * HOUR
FEW = 10  # parcels: less is no congestion that anyone could see
OBVIOUS = 4  # false sign-offs of one courier


def facilities(cohort: Cohort, end: int) -> pl.DataFrame:
    """From what happened, not from the plan: wherever parcels waited, whatever the reason."""
    ground = network()
    rows = []
    for hub in range(len(ground.hubs)):
        waits = [w for (_, where), w in sorted(cohort.journey.waits.items()) if where == hub]
        if not waits:
            continue
        ready, out = (np.concatenate(column) for column in zip(*waits, strict=True))
        inside = ready < end
        for start, stop, parcels in _choked(ready[inside], out[inside]):
            rows.append(
                _place(
                    "facility_congested", "facility", ground.hub_name(hub), start, stop, end, "queue", parcels
                )
            )
    for storm in cohort.plan.storms:
        for hub, city in enumerate(ground.hubs):
            if ground.codes[int(city)].startswith(storm.province):
                rows.append(
                    _place(
                        "facility_congested",
                        "facility",
                        ground.hub_name(hub),
                        storm.start,
                        storm.end,
                        end,
                        "storm",
                        FEW,
                    )
                )
    return _frame(rows)


def _choked(ready: Floats, out: Floats) -> list[tuple[float, float, int]]:
    """Runs of bins with a long mean wait; a gap of two bins does not end one."""
    if not len(ready):
        return []
    number = (ready // BIN).astype(np.int64)
    bins, place, count = np.unique(number, return_inverse=True, return_counts=True)
    wait = np.bincount(place, weights=out - ready) / count
    bad = bins[(wait > CHOKED) & (count >= 2)]
    if not len(bad):
        return []
    runs = np.split(bad, np.flatnonzero(np.diff(bad) > 3) + 1)
    found = []
    for run in runs:
        inside = (number >= run[0]) & (number <= run[-1]) & (out - ready > CHOKED)
        found.append((float(run[0] * BIN), float(out[inside].max()), int(inside.sum())))
    return found


def planned(cohort: Cohort, end: int) -> pl.DataFrame:
    plan = cohort.plan
    rows = [_place("feed_silent", "feed", o.feed, o.start, o.end, end, "outage", FEW) for o in plan.outages]
    rows += [
        _place(
            "carrier_degraded",
            "carrier",
            CARRIERS[s.carrier].code,
            s.start,
            s.end,
            end,
            "slowdown",
            FEW,
            region=s.province.ljust(6, "0") if s.province else None,
        )
        for s in plan.slowdowns
    ]
    told = cohort.complaints
    for number, wave in enumerate(plan.waves):
        size = int(((told.wave == number) & (told.at < end)).sum())
        region = wave.region.ljust(6, "0")
        cause = f"{wave.reason}{'_slow' if wave.slow else ''}"
        rows.append(
            _place("complaint_spike", "region", region, wave.start, wave.end, end, cause, size, region=region)
        )
    return _frame(rows)


def couriers(cohort: Cohort, tables: Tables, end: int) -> pl.DataFrame:
    """Those with many false sign-offs; from the fourth on somebody should have noticed."""
    signing, names = cohort.signing, tables.courier_names()
    false = np.flatnonzero((signing.trace != Trace.NONE) & (signing.signed < end))
    rows = []
    for courier in np.unique(signing.courier[false]):
        at = np.sort(signing.signed[false[signing.courier[false] == courier]])
        if len(at) >= OBVIOUS:
            rows.append(
                _place(
                    "signature_suspect",
                    "courier",
                    names[int(courier)],
                    at[0],
                    None,
                    end,
                    "courier",
                    len(at),
                    due=at[OBVIOUS - 1],
                )
            )
    return _frame(rows)


def _place(
    kind: str,
    subject_type: str,
    name: str,
    start: float,
    stop: float | None,
    end: int,
    cause: str,
    parcels: int,
    *,
    due: float | None = None,
    region: str | None = None,
) -> dict[str, object]:
    return {
        "kind": kind,
        "subject_type": subject_type,
        "subject_id": name,
        "starts_at": int(start),
        "due_at": int(start if due is None else due),
        "ends_at": int(stop) if stop is not None and stop < end else None,
        "cause": cause,
        "minor": parcels < FEW and subject_type in {"facility", "region"},
        "parcels": parcels,
        "region": region,
    }


def _frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = {
        "kind": pl.String,
        "subject_type": pl.String,
        "subject_id": pl.String,
        "starts_at": pl.Int64,
        "due_at": pl.Int64,
        "ends_at": pl.Int64,
        "cause": pl.String,
        "minor": pl.Boolean,
        "parcels": pl.Int64,
        "region": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)
