"""What the daemon answers, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from monitor.withdrawn import outbox_counts

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.simulate import Summary

_FOR_PROGRAMS: Final = frozenset({"budget", "outbox_withdrawn", "incidents_pending"})


def status_rows(answer: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row an entry of `/v1/status`; what the answer has twice, for programs, once."""
    told = {name: value for name, value in answer.items() if name not in _FOR_PROGRAMS}
    told["lag_seconds"] = f"{answer['lag_seconds']:.1f}"
    told["incidents"] = f"{answer['incidents']:,} firing, {answer.get('incidents_pending', 0):,} pending"
    told["outbox"] = outbox_counts(answer["outbox"], answer.get("outbox_withdrawn", 0))
    return [{"what": name.replace("_", " "), "value": _cell(value)} for name, value in told.items()]


def outbox_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "state": "withdrawn" if entry.get("withdrawn") else entry["state"]}


def summary_lines(out: Path, summary: Summary) -> list[str]:
    """What `simulate` wrote."""
    wrong = ", ".join(f"{name} {count:,}" for name, count in sorted(summary.anomalies.items()))
    return [
        f"{out}: world {summary.scenario}, seed {summary.seed}, {summary.start} to {summary.end}",
        f"  {summary.parcels:,} parcels, {summary.orders:,} orders, {summary.events:,} events",
        f"  {summary.complaints:,} complaints",
        f"  {summary.late_share:.1%} of the parcels late, {summary.complaints_per_order:.1%} of the orders complained about",
        f"  to be found: {wrong or 'nothing'}",
        f"  neither demanded nor held against a finding: {sum(summary.minor.values()):,}",
    ]


def _cell(value: Any) -> str:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
