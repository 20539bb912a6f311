"""A cohort as tables of events: one row an event, names instead of codes, times in ms, null where absent.

Columns are named as the properties of the contract, so writing is mechanical. `_` columns are not written.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import polars as pl

from monitor.simulate.cohort import Cohort
from monitor.simulate.complaints import REASONS
from monitor.simulate.network import CARRIERS, CATEGORIES, Floats, Ints, network
from monitor.simulate.signing import Trace
from monitor.simulate.steps import STATUS, Step
from monitor.vocabulary import DeliveredTo, Status

Names: TypeAlias = pl.Series
SCATTER = 618_033_989  # prime to ten: distinct numbers stay distinct
WAREHOUSE_STEPS = (Step.CREATED, Step.ACCEPTED)
ORIGIN_STEPS = (Step.AT_ORIGIN, Step.LEFT_ORIGIN)
TRANSIT_STEPS = (Step.AT_TRANSIT, Step.LEFT_TRANSIT)
HUB_STEPS = (Step.AT_HUB, Step.LEFT_HUB)
DOOR_STEPS = (Step.OUT, Step.FAILED, Step.OUT_AGAIN, Step.SIGNED, Step.RESCANNED, Step.SIGNED_AGAIN)


def pick(names: tuple[str, ...] | list[str], index: Ints) -> pl.Series:
    """Negative is null."""
    found = pl.Series(list(names), dtype=pl.String).gather(pl.Series(np.maximum(index, 0)))
    return found.zip_with(
        pl.Series(index >= 0), pl.Series([None], dtype=pl.String).new_from_index(0, len(index))
    )


def text(*parts: pl.Series | str) -> pl.Series:
    return pl.select(pl.concat_str([pl.lit(part) for part in parts])).to_series()


def padded(numbers: Ints, width: int) -> pl.Series:
    return pl.Series(numbers).cast(pl.String).str.zfill(width)


def moments(values: Floats) -> pl.Series:
    """Whole seconds, as carriers and shops give them."""
    rounded = np.floor(np.where(np.isfinite(values), values, 0.0) / 1000).astype(np.int64) * 1000
    return pl.Series(rounded).zip_with(
        pl.Series(np.isfinite(values)), pl.Series([None], dtype=pl.Int64).new_from_index(0, len(values))
    )


class Tables:
    """Names are made once; the tables share them."""

    def __init__(self, cohort: Cohort, seed: int) -> None:
        self.cohort = cohort
        first = (cohort.number + 1) * 20_000_000
        count = len(cohort.parcels)
        number = ((first + np.arange(count)) * SCATTER + (seed % 9_973) * 40_009) % 10**12
        prefix = pick([carrier.prefix for carrier in CARRIERS], cohort.parcels.carrier)
        self.tracking = text(prefix, padded(number, 12))
        self.order = text(f"O{seed % 1000:03d}{cohort.number:04d}", padded(np.arange(len(cohort.orders)), 7))
        self.customer = text("C", padded(cohort.orders.customer, 7))
        self.carrier = pick([carrier.code for carrier in CARRIERS], cohort.parcels.carrier)

    def orders(self) -> pl.DataFrame:
        orders, after = self.cohort.orders, self.cohort.aftersales
        everything = np.arange(len(orders))
        parts = [self._placed(everything), self._shipped()]
        for status, at in (
            ("paid", orders.paid),
            ("cancelled", orders.cancelled),
            ("completed", after.completed),
            ("return_requested", after.return_requested),
            ("return_received", after.return_received),
            ("refund_requested", after.refund_requested),
            ("refunded", after.refunded),
        ):
            rows = np.flatnonzero(np.isfinite(at) & (at < self.cohort.limit))
            parts.append(self._order_rows(rows, status, at[rows]))
        return pl.concat(parts, how="diagonal")

    def _order_rows(self, rows: Ints, status: str, at: Floats) -> pl.DataFrame:
        order = self.order.gather(rows)
        return pl.DataFrame(
            {
                "event_id": text(order, f"-{status}"),
                "_at": moments(at),
                "source": pl.Series(["shop"]).new_from_index(0, len(rows)),
                "order_id": order,
                "customer_id": self.customer.gather(rows),
                "status": pl.Series([status]).new_from_index(0, len(rows)),
            }
        )

    def _placed(self, rows: Ints) -> pl.DataFrame:
        orders, ground = self.cohort.orders, network()
        customer = padded(orders.customer, 8)
        contact = text(
            '{"phone":"+86100',
            customer,
            '","email":"',
            self.customer,
            '@example.com","openid":"o',
            customer,
            '"}',
        )
        consent = pl.Series(
            np.where(orders.consents, '{"locker_consent":true}', '{"locker_consent":false}').tolist()
        )
        return self._order_rows(rows, "placed", orders.placed).with_columns(
            origin_region=pick(ground.codes, ground.warehouse_city[orders.warehouse]),
            warehouse=text("W-", pick(ground.codes, ground.warehouse_city[orders.warehouse])),
            region=pick(ground.districts, orders.district),
            latitude=pl.Series(np.round(ground.district_latitude[orders.district], 4)),
            longitude=pl.Series(np.round(ground.district_longitude[orders.district], 4)),
            amount=pl.Series(orders.amount),
            currency=pl.lit("CNY"),
            category=pick(CATEGORIES, orders.category),
            supplier=text("SUP-", padded(orders.supplier, 2)),
            locale=pick(("zh-CN", "en"), orders.english.astype(np.int64)),
            customer_tier=pick(("standard", "silver", "gold"), orders.tier),
            contact=contact,
            extra=consent,
        )

    def _shipped(self) -> pl.DataFrame:
        cohort, ground = self.cohort, network()
        parcels, at = cohort.parcels, cohort.journey.at[:, Step.CREATED]
        rows = np.flatnonzero(np.isfinite(at))
        order = parcels.order[rows]
        return self._order_rows(order, "shipped", at[rows] + 20_000.0).with_columns(
            event_id=text(self.order.gather(order), "-shipped-", self.tracking.gather(rows)),
            tracking_number=self.tracking.gather(rows),
            carrier=self.carrier.gather(rows),
            service_level=pick(("standard", "express"), (parcels.carrier[rows] < 2).astype(np.int64)),
            origin_region=pick(ground.codes, parcels.origin[rows]),
            region=pick(ground.districts, parcels.district[rows]),
            promised_at=moments(cohort.promised[rows]),
        )

    def scans(self) -> pl.DataFrame:
        cohort = self.cohort
        at = cohort.journey.at
        parcel, step = np.nonzero(np.isfinite(at) & cohort.journey.seen)
        place, courier = self._places(parcel, step), self._couriers(parcel, step)
        signed = np.isin(step, (Step.SIGNED, Step.SIGNED_AGAIN)) & ~cohort.journey.way.refused[parcel]
        held = step == Step.HELD
        to = np.where(signed | held, cohort.signing.place[parcel], -1)
        to = np.where(step == Step.SIGNED_AGAIN, DeliveredTo.RECIPIENT, to)
        gps = signed & (_chance(parcel) < np.array([c.gps for c in CARRIERS])[cohort.parcels.carrier[parcel]])
        return pl.DataFrame(
            {
                "event_id": text(self.tracking.gather(parcel), "-", padded(step, 2)),
                "_at": moments(at[parcel, step]),
                "_parcel": pl.Series(parcel),
                "_step": pl.Series(step),
                "source": pick([carrier.feed for carrier in CARRIERS], cohort.parcels.carrier[parcel]),
                "tracking_number": self.tracking.gather(parcel),
                "carrier": self.carrier.gather(parcel),
                "status": pick([status.name.lower() for status in Status], self._status(parcel, step)),
                "facility": place[0],
                "region": place[1],
                "courier_id": courier,
                "delivered_to": pick([to.name.lower() for to in DeliveredTo], to),
                "latitude": _rounded(np.where(gps, cohort.signing.latitude[parcel], np.nan)),
                "longitude": _rounded(np.where(gps, cohort.signing.longitude[parcel], np.nan)),
            }
        )

    def _status(self, parcel: Ints, step: Ints) -> Ints:
        status = np.array([int(STATUS[s]) for s in Step])[step]
        signed = step == Step.SIGNED
        status = np.where(signed & self.cohort.signing.collected[parcel], int(Status.COLLECTED), status)
        refused = signed & self.cohort.journey.way.refused[parcel]
        return np.asarray(np.where(refused, int(Status.REFUSED), status))

    def _places(self, parcel: Ints, step: Ints) -> tuple[pl.Series, pl.Series]:
        """Facility and region of each scan."""
        cohort, ground = self.cohort, network()
        way, parcels = cohort.journey.way, cohort.parcels
        hub = np.select(
            [np.isin(step, ORIGIN_STEPS), np.isin(step, TRANSIT_STEPS), np.isin(step, HUB_STEPS)],
            [way.origin_hub[parcel], way.transit_hub[parcel], way.hub[parcel]],
            default=-1,
        )
        customs = np.isin(step, (Step.CUSTOMS_IN, Step.CUSTOMS_OUT))
        start = np.isin(step, WAREHOUSE_STEPS) | (step == Step.RETURNED)
        city = np.where(start, parcels.origin[parcel], np.where(hub >= 0, ground.hubs[hub], -1))
        city = np.where(customs, ground.codes.index("440300"), city)
        home = parcels.district[parcel]
        away = cohort.signing.elsewhere[parcel]
        district = np.where((step == Step.SIGNED) & (away >= 0), away, home)
        region = pick(ground.codes, city).fill_null(pick(ground.districts, district))
        locker = (step == Step.HELD) | ((step == Step.SIGNED) & cohort.signing.collected[parcel])
        kind = np.select(
            [hub >= 0, customs, start, locker & (cohort.signing.place[parcel] == DeliveredTo.LOCKER)],
            [0, 1, 2, 3],
            default=4,
        )
        letter = pick(("H-", "X-", "P-", "L-", "S-"), kind)
        suffix = np.where(kind == 3, 1 + parcel % 7, np.where(kind == 4, 1 + parcels.carrier[parcel], 0))
        tail = text("-", padded(suffix, 2)).zip_with(
            pl.Series(suffix > 0), pl.Series([""]).new_from_index(0, len(step))
        )
        return text(letter, region, tail), region

    def _couriers(self, parcel: Ints, step: Ints) -> pl.Series:
        who = np.where(np.isin(step, DOOR_STEPS), self.cohort.signing.courier[parcel], -1)
        return pick(self.courier_names(), who)

    def courier_names(self) -> list[str]:
        ground, cells = network(), self.cohort.signing.courier_district
        city, carrier = cells // len(CARRIERS), cells % len(CARRIERS)
        first = np.concatenate([[0], np.flatnonzero(np.diff(cells)) + 1])
        begin = first[np.searchsorted(first, np.arange(len(cells)), side="right") - 1]
        rank = np.arange(len(cells)) - begin + 1
        return text(
            pick([c.code for c in CARRIERS], carrier), "-", pick(ground.codes, city), "-", padded(rank, 3)
        ).to_list()

    def complaints(self) -> pl.DataFrame:
        cohort, ground = self.cohort, network()
        told = cohort.complaints
        rows = np.flatnonzero(np.isfinite(told.at) & (told.at < cohort.limit))
        names = text(
            f"Q{cohort.number:04d}", padded(np.where(told.again >= 0, told.again, np.arange(len(told))), 7)
        )
        category, reason = zip(*REASONS, strict=True)
        parts = []
        for status, at in (("opened", told.at), ("responded", told.responded), ("resolved", told.resolved)):
            word = np.where((told.again[rows] >= 0) & (status == "opened"), "reopened", status)
            order = told.order[rows]
            has_parcel = told.parcel[rows] >= 0
            parts.append(
                pl.DataFrame(
                    {
                        "event_id": text(names.gather(rows), f"-{status}-", padded(rows, 7)),
                        "_at": moments(at[rows]),
                        "_row": pl.Series(rows),
                        "source": pl.Series(["helpdesk"]).new_from_index(0, len(rows)),
                        "complaint_id": names.gather(rows),
                        "status": pl.Series(word.tolist(), dtype=pl.String),
                        "order_id": self.order.gather(order),
                        "customer_id": self.customer.gather(order),
                        "tracking_number": self.tracking.gather(np.maximum(told.parcel[rows], 0)).zip_with(
                            pl.Series(has_parcel),
                            pl.Series([None], dtype=pl.String).new_from_index(0, len(rows)),
                        ),
                        "region": pick(ground.districts, cohort.orders.district[order]),
                        "category": pick(list(category), told.reason[rows]),
                        "reason": pick(list(reason), told.reason[rows]),
                        "channel": pick(("chat", "hotline", "email", "third_party"), rows * 7 % 11 // 3),
                    }
                )
            )
        return pl.concat(parts)


def _chance(index: Ints) -> Floats:
    """A number in 0..1 that belongs to the parcel."""
    return np.asarray((index * SCATTER % 1_000_003) / 1_000_003.0)


def _rounded(values: Floats) -> pl.Series:
    return pl.Series(np.round(values, 4)).fill_nan(None)


def trace_names() -> list[str]:
    return [trace.name.lower() for trace in Trace]
