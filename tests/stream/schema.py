"""The slow and obvious validator: walks the contract's JSON Schema, keyword by keyword."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from monitor.times import DAY, EARLIEST, LATEST, parse_time

SCHEMA = json.loads((Path(__file__).parents[2] / "monitor" / "event.schema.json").read_text(encoding="utf-8"))
IDS = {"event_id", "tracking_number", "order_id", "customer_id", "complaint_id"}
LIMITED = {
    "order": "source tracking_number carrier service_level warehouse origin_region region category supplier locale "
    "customer_tier order_id customer_id event_id",
    "tracking": "source tracking_number carrier facility region courier_id event_id",
    "complaint": "source complaint_id order_id tracking_number customer_id region reason channel currency event_id",
    "engagement": "source action_id customer_id event_id",
}


def branch(kind: Any) -> dict[str, Any]:
    return next((one for one in SCHEMA["oneOf"] if one["title"] == kind), {})


def obeys(value: Any, rule: dict[str, Any]) -> bool:
    kind = rule.get("type")
    checks = {
        None: True,
        "string": isinstance(value, str),
        "object": isinstance(value, dict),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "integer": (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer()),
    }
    if not checks[kind]:
        return False
    if "enum" in rule and (value not in rule["enum"] or not isinstance(value, str)):
        return False
    if "const" in rule and value != rule["const"]:
        return False
    if len(value) < rule.get("minLength", 0) if isinstance(value, str) else False:
        return False
    if isinstance(value, int | float) and not (
        rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf)
    ):
        return False
    if "pattern" in rule and not re.fullmatch(rule["pattern"].strip("^$"), value):
        return False
    # An empty optional text is an absent one: the one place where we are milder than the schema.
    return rule.get("format") != "date-time" or value == "" or parse_time(value) is not None


def valid(event: Any) -> bool:
    """By the schema, and by what is decided beyond it (monitor/wire.py)."""
    if not isinstance(event, dict):
        return False
    own = branch(event.get("kind"))
    if not own:
        return False
    rules = {**SCHEMA["properties"], **own["properties"]}
    if not all(name in event for name in [*SCHEMA["required"], *own["required"]]):
        return False
    if not all(obeys(value, rules[name]) for name, value in event.items() if name in rules):
        return False
    return decided(event, own)


def decided(event: dict[str, Any], own: dict[str, Any]) -> bool:
    if any(event[name] == "" for name in own["required"] if name in IDS) or event["occurred_at"] == "":
        return False
    for name in LIMITED[event["kind"]].split():
        longest = {"event_id": 512, "tracking_number": 100}.get(name, 200)
        if len(event.get(name, "").encode()) > longest:
            return False
    moments = {
        name: parse_time(value)
        for name, value in event.items()
        if value and {**SCHEMA["properties"], **own["properties"]}.get(name, {}).get("format") == "date-time"
    }
    if any(moment is None or not EARLIEST <= moment < LATEST for moment in moments.values()):
        return False
    occurred = moments["occurred_at"] or 0
    if occurred - (moments.get("received_at") or occurred) > DAY:
        return False
    return event["kind"] in {"tracking", "engagement"} or bool(abs(event.get("amount", 0)) <= 1e12)
