"""What to do, from evidence and configured productivity: codes with numbers; the templates have the words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from config.settings import IncidentSettings
from monitor.incidents import View
from monitor.notifications.places import named

SHIFT_HOURS = 4  # extra hands are asked for half a shift
SOON_HOURS = 72  # what takes longer does not clear by itself, for those who plan shifts


def advise(view: View, settings: IncidentSettings, locale: str) -> list[dict[str, Any]]:
    evidence = view.evidence
    if view.family in {"facility_congested", "backlog_forecast"}:
        return _capacity(evidence, settings)
    if view.family == "feed_silent":
        return [{"do": "check_feed", "feed": view.place.id}]
    if view.family == "carrier_degraded":
        return [
            {"do": "divert", "place": named(view.place, locale)},
            {"do": "call_carrier", "carrier": _most(view.carriers) or view.labels.get("carrier", "")},
        ]
    if view.family == "complaint_spike":
        reason = evidence.get("reason") or evidence.get("category")
        advice: list[dict[str, Any]] = [{"do": "answer_complaints", "reason": reason}] if reason else []
        return [*advice, {"do": "look_at_region", "place": named(view.place, locale)}]
    if view.family in {"parcels_stalled", "parcels_late"}:
        return [{"do": "ask_carrier", "carrier": _most(view.carriers), "parcels": view.open}]
    if view.family == "orders_stalled":
        return [{"do": "ask_warehouse", "place": named(view.place, locale), "orders": view.open}]
    if view.family == "signatures":
        return [{"do": "check_signatures", "place": named(view.place, locale), "parcels": view.open}]
    if view.family == "customers":
        return [{"do": "call_customers", "customers": view.open}]
    return []


def _capacity(evidence: Mapping[str, Any], settings: IncidentSettings) -> list[dict[str, Any]]:
    """Excess over the usual stock, with the usual grown by what more traffic explains."""
    stock, usual = _number(evidence, "stock"), _number(evidence, "usual", "usual_24")
    forecast = _number(evidence, "forecast_24")
    excess = _number(evidence, "excess")
    if excess is None and usual is not None:
        known = [value for value in (stock, forecast) if value is not None]
        if known:
            excess = max(known) - usual * (_number(evidence, "traffic_ratio") or 1.0)
    advice: list[dict[str, Any]] = []
    if excess is not None and excess >= 1:
        people = math.ceil(excess / (settings.people_rate * SHIFT_HOURS))
        vehicles = math.ceil(excess / settings.vehicle_load)
        advice.append(
            {
                "do": "add_capacity",
                "excess": round(excess),
                "people": people,
                "hours": SHIFT_HOURS,
                "vehicles": vehicles,
                "people_rate": settings.people_rate,
                "vehicle_load": settings.vehicle_load,
            }
        )
    arrivals, departures = _number(evidence, "arrivals_per_hour"), _number(evidence, "departures_per_hour")
    if excess is not None and excess >= 1 and arrivals is not None and departures is not None:
        net = departures - arrivals
        if net > 0 and excess / net > SOON_HOURS:
            advice.append({"do": "clears_slowly", "net": round(net, 1)})
        elif net > 0:
            advice.append({"do": "clears_itself", "hours": round(excess / net, 1), "net": round(net, 1)})
        else:
            advice.append({"do": "still_growing", "net": round(-net, 1)})
    return advice


def _number(evidence: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = evidence.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _most(counts: Mapping[str, int]) -> str:
    return min(counts, key=lambda name: (-counts[name], name), default="")
