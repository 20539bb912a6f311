"""What really went wrong in a cohort, one row an anomaly, for evaluation.

`minor` marks what is too small, or too near the end of the world, to be demanded or to be called a false alarm.
Times are ms here; files hold RFC 3339.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from monitor.simulate import places
from monitor.simulate.cohort import Cohort
from monitor.simulate.complaints import FALSE, LATE, LOST, REASONS, REFUND, SILENT, WHERE, previous
from monitor.simulate.network import Floats, Ints, network
from monitor.simulate.rhythm import HOUR
from monitor.simulate.signing import Trace
from monitor.simulate.steps import AWAITING, Cause, Step
from monitor.simulate.tables import Tables, pick, trace_names
from monitor.simulate.tables import moments as whole
from monitor.vocabulary import Segment

STALL = 24 * HOUR
MINOR = 8 * HOUR
TICKET = 12.0  # CNY, a complaint's work
CHURN = 0.07  # of the order's worth, what a late customer spends less
KINDS = {segment: f"{segment.name.lower()}_stalled" for segment in Segment if segment is not Segment.NONE}
SCHEMA = {
    "kind": pl.String,
    "subject_type": pl.String,
    "subject_id": pl.String,
    "starts_at": pl.Int64,
    "due_at": pl.Int64,
    "ends_at": pl.Int64,
    "cause": pl.String,
    "minor": pl.Boolean,
    "order_id": pl.String,
    "tracking_number": pl.String,
    "customer_id": pl.String,
    "carrier": pl.String,
    "region": pl.String,
    "complained_at": pl.Int64,
    "cost": pl.Float64,
    "parcels": pl.Int64,
}


def truth(cohort: Cohort, tables: Tables, end: int) -> pl.DataFrame:
    writer = Writer(cohort, tables, float(end))
    parts = [
        writer.stalls(),
        writer.late(),
        writer.signatures(),
        writer.money(),
        writer.repeated(),
        places.facilities(cohort, end),
        places.planned(cohort, end),
        places.couriers(cohort, tables, end),
    ]
    complete = [
        part.with_columns(
            pl.lit(None, dtype=kind).alias(name) for name, kind in SCHEMA.items() if name not in part.columns
        ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        for part in parts
    ]
    return pl.concat(complete)


class Writer:
    def __init__(self, cohort: Cohort, tables: Tables, end: float) -> None:
        self.cohort, self.tables, self.end = cohort, tables, end
        self.ground = network()

    def complained(self, parcel: Ints, since: Floats, reasons: tuple[int, ...]) -> Floats:
        """The first complaint of these reasons about each parcel after `since`, NaN where none."""
        told = self.cohort.complaints
        rows = np.flatnonzero(np.isin(told.reason, reasons) & (told.parcel >= 0) & (told.at < self.end))
        rows = rows[np.lexsort((told.at[rows], told.parcel[rows]))]
        table = pl.DataFrame({"parcel": told.parcel[rows], "at": told.at[rows]}).sort(
            "at", maintain_order=True
        )
        asked = pl.DataFrame({"row": np.arange(len(parcel)), "parcel": parcel, "at": since}).sort("at")
        found = asked.join_asof(
            table.with_columns(told=pl.col("at")),
            on="at",
            by="parcel",
            strategy="forward",
            check_sortedness=False,
        )
        return found.sort("row")["told"].fill_null(np.nan).to_numpy()

    def rows(
        self,
        parcel: Ints,
        kind: pl.Series,
        cause: pl.Series,
        starts: Floats,
        due: Floats,
        ends: Floats,
        reasons: tuple[int, ...],
        share: Floats,
        seen: Floats,
    ) -> pl.DataFrame:
        """`seen` is for how long the anomaly could be seen before it, or the world, ended."""
        cohort = self.cohort
        order = cohort.parcels.order[parcel]
        told = self.complained(parcel, starts, reasons)
        ends = np.where(ends < self.end, ends, np.nan)
        cost = cohort.orders.amount[order] * share + np.where(np.isfinite(told), TICKET, 0.0)
        frame = pl.DataFrame(
            {
                "kind": kind,
                "subject_type": pl.Series(["parcel"]).new_from_index(0, len(parcel)),
                "subject_id": self.tables.tracking.gather(parcel),
                "starts_at": whole(starts),
                "due_at": whole(due),
                "ends_at": whole(ends),
                "cause": cause,
                "minor": pl.Series(seen < STALL),
                "order_id": self.tables.order.gather(order),
                "tracking_number": self.tables.tracking.gather(parcel),
                "customer_id": self.tables.customer.gather(order),
                "carrier": self.tables.carrier.gather(parcel),
                "region": pick(self.ground.districts, cohort.parcels.district[parcel]),
                "complained_at": whole(told),
                "cost": pl.Series(np.round(cost, 2)),
                "parcels": pl.Series(np.ones(len(parcel), dtype=np.int64)),
            }
        )
        return frame.filter(pl.Series((starts < self.end) & np.isfinite(starts)))

    def stalls(self) -> pl.DataFrame:
        cohort = self.cohort
        journey = cohort.journey
        parcel, step = np.nonzero(journey.excess >= MINOR)
        at = np.where(journey.seen, journey.at, np.nan)
        ends = journey.at[parcel, step]
        excess = journey.excess[parcel, step]
        starts = previous(at, parcel, step)
        paid = cohort.orders.paid[cohort.parcels.order[parcel]]
        starts = np.where(step == Step.CREATED, paid, starts)
        due = np.where(np.isfinite(ends), ends - excess, starts + 24 * HOUR)
        segment = np.array([int(AWAITING[s]) for s in Step])[step]
        collecting = (step == Step.SIGNED) & cohort.signing.collected[parcel]
        segment = np.where(collecting, int(Segment.COLLECTION), segment)
        cause = journey.cause[parcel, step]
        share = np.where(cause == Cause.LOST, 1.0, CHURN)
        kind = pick(["", *KINDS.values()], segment)
        last = np.where(np.isfinite(ends), np.minimum(ends, self.end), self.end)
        stalls = self.rows(
            parcel,
            kind,
            pick([c.name.lower() for c in Cause], cause),
            starts,
            due,
            ends,
            (LATE, SILENT, LOST, WHERE),
            share,
            np.minimum(last - due, excess),
        )
        unshipped = pl.col("kind") == "fulfilment_stalled"
        stalls = stalls.with_columns(
            pl.when(unshipped).then(pl.lit("order")).otherwise("subject_type").alias("subject_type"),
            pl.when(unshipped).then("order_id").otherwise("subject_id").alias("subject_id"),
        )
        week = 7 * 24 * HOUR
        lost = stalls.filter((pl.col("cause") == "lost") & (pl.col("starts_at") < self.end - week))
        return pl.concat([stalls, lost.with_columns(kind=pl.lit("presumed_lost"))])

    def late(self) -> pl.DataFrame:
        cohort = self.cohort
        came = np.where(np.isnan(cohort.signing.delivered), np.inf, cohort.signing.delivered)
        came = np.where(cohort.journey.way.refused, cohort.journey.at[:, Step.SIGNED], came)
        parcel = np.flatnonzero((came > cohort.promised) & np.isfinite(cohort.journey.at[:, Step.CREATED]))
        promised, ends = cohort.promised[parcel], came[parcel]
        kind = pl.Series(["promise_broken"]).new_from_index(0, len(parcel))
        return self.rows(
            parcel,
            kind,
            kind,
            promised,
            promised,
            ends,
            (LATE, LOST, WHERE),
            np.full(len(parcel), CHURN),
            np.minimum(ends, self.end) - promised + STALL - HOUR,
        )

    def signatures(self) -> pl.DataFrame:
        signing = self.cohort.signing
        parcel = np.flatnonzero((signing.trace != Trace.NONE) & np.isfinite(signing.signed))
        count = len(parcel)
        signed, really = signing.signed[parcel], signing.delivered[parcel]
        kind = pl.Series(["signature_suspect"]).new_from_index(0, count)
        cause = pick(trace_names(), signing.trace[parcel])
        return self.rows(
            parcel,
            kind,
            cause,
            signed,
            signed,
            really,
            (FALSE,),
            np.where(np.isnan(really), 1.0, CHURN),
            np.full(count, STALL),
        )

    def money(self) -> pl.DataFrame:
        """Refunds and returns that somebody forgot."""
        after = self.cohort.aftersales
        parts = []
        for kind, since, until, excess in (
            ("refund_stalled", after.refund_requested, after.refunded, after.refund_excess),
            ("return_stalled", after.return_requested, after.return_received, after.return_excess),
        ):
            order = np.flatnonzero((excess > 0) & np.isfinite(since) & (since < self.end))
            told = self._refund_complaints(order, since[order])
            ends = np.where(until[order] < self.end, until[order], np.nan)
            due = until[order] - excess[order]
            parts.append(
                pl.DataFrame(
                    {
                        "kind": pl.Series([kind]).new_from_index(0, len(order)),
                        "subject_type": pl.Series(["order"]).new_from_index(0, len(order)),
                        "subject_id": self.tables.order.gather(order),
                        "starts_at": whole(since[order]),
                        "due_at": whole(due),
                        "ends_at": whole(ends),
                        "cause": pl.Series(["stuck"]).new_from_index(0, len(order)),
                        "minor": pl.Series(np.minimum(until[order], self.end) - due < STALL),
                        "order_id": self.tables.order.gather(order),
                        "customer_id": self.tables.customer.gather(order),
                        "complained_at": whole(told),
                        "cost": pl.Series(
                            np.where(np.isfinite(told), TICKET, 0.0)
                            + CHURN * self.cohort.orders.amount[order]
                        ),
                    }
                )
            )
        return pl.concat(parts)

    def _refund_complaints(self, order: Ints, since: Floats) -> Floats:
        told = self.cohort.complaints
        rows = np.flatnonzero((told.reason == REFUND) & (told.again < 0))
        at = np.full(len(self.cohort.orders), np.inf)
        np.minimum.at(at, told.order[rows], told.at[rows])
        first = at[order]
        return np.where((first >= since) & (first < self.end), first, np.nan)

    def repeated(self) -> pl.DataFrame:
        told = self.cohort.complaints
        second = np.flatnonzero((told.again >= 0) & (told.at < self.end))
        order = told.order[second]
        return pl.DataFrame(
            {
                "kind": pl.Series(["repeat_complainer"]).new_from_index(0, len(second)),
                "subject_type": pl.Series(["customer"]).new_from_index(0, len(second)),
                "subject_id": self.tables.customer.gather(order),
                "starts_at": whole(told.at[told.again[second]]),
                "due_at": whole(told.at[second]),
                "cause": pick([reason for _, reason in REASONS], told.reason[second]),
                "minor": pl.Series(np.zeros(len(second), dtype=np.bool_)),
                "order_id": self.tables.order.gather(order),
                "customer_id": self.tables.customer.gather(order),
            }
        )
