"""Grafana dashboards from code: `python deploy/grafana/generate.py` writes dashboards/*.json; a test compares them.

Panels name metrics of the catalogue only; `tests/test_deploy.py` holds this.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

HERE: Final = Path(__file__).parent
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
SELECT: Final = '{job=~"$job"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries` from legend to expression; `{}` in an expression stands for the selector of the job."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    single: bool = False
    about: str = ""


OPERATIONS: Final = (
    (
        "Now",
        (
            Panel(
                "Ready",
                {"": "min(forestall_ready{})"},
                single=True,
                about="1: the store answers, the lag is small",
            ),
            Panel("Lag", {"": "max(forestall_stream_lag_seconds{})"}, "s", single=True),
            Panel("Live parcels", {"": "sum(forestall_live_parcels{})"}, single=True),
            Panel(
                "Firing incidents",
                {"": 'sum(forestall_open_incidents{job=~"$job", state="firing"})'},
                single=True,
            ),
            Panel("Outbox, oldest", {"": "max(forestall_outbox_oldest_seconds{})"}, "s", single=True),
            Panel("Checkpoint age", {"": "max(forestall_checkpoint_age_seconds{})"}, "s", single=True),
        ),
    ),
    (
        "Events",
        (
            Panel(
                "Events taken",
                {"{{kind}} {{feed}}": "sum by (kind, feed) (rate(forestall_events_total{}[5m]))"},
                "cps",
            ),
            Panel(
                "What became of events",
                {"{{outcome}}": "sum by (outcome) (rate(forestall_event_outcomes_total{}[5m]))"},
                "cps",
            ),
            Panel(
                "Dead letters",
                {"{{reason}}": "sum by (reason) (rate(forestall_deadletter_total{}[5m]))"},
                "cps",
            ),
            Panel("Age of feeds", {"{{feed}}": "max by (feed) (forestall_feed_age_seconds{})"}, "s"),
            Panel("Entries behind", {"entries": "sum(forestall_stream_lag_entries{})"}),
            Panel(
                "Requests to the intake",
                {
                    "{{route}} {{status}}": "sum by (route, status) (rate(forestall_intake_requests_total{}[5m]))"
                },
                "reqps",
            ),
        ),
    ),
    (
        "Engine",
        (
            Panel(
                "Batch time",
                {
                    "p50": "histogram_quantile(0.5, sum by (le) (rate(forestall_batch_seconds_bucket{}[5m])))",
                    "p99": "histogram_quantile(0.99, sum by (le) (rate(forestall_batch_seconds_bucket{}[5m])))",
                },
                "s",
            ),
            Panel(
                "Tick and sweep",
                {"p99": "histogram_quantile(0.99, sum by (le) (rate(forestall_sweep_seconds_bucket{}[5m])))"},
                "s",
            ),
            Panel("Table in use", {"load": "max(forestall_table_load{})"}, "percentunit"),
            Panel(
                "Store in use",
                {"share": "max(forestall_store_used_bytes{} / (forestall_store_limit_bytes{} > 0))"},
                "percentunit",
            ),
            Panel("Checkpoint size", {"bytes": "max(forestall_checkpoint_bytes{})"}, "bytes"),
            Panel(
                "Missed runs", {"{{job}}": "sum by (job) (increase(forestall_schedule_missed_total{}[1h]))"}
            ),
            Panel(
                "Failed runs", {"{{job}}": "sum by (job) (increase(forestall_schedule_failed_total{}[1h]))"}
            ),
        ),
    ),
    (
        "Delivery",
        (
            Panel(
                "Sends by answer",
                {
                    "{{channel}} {{answer}}": "sum by (channel, answer) (rate(forestall_deliveries_total{}[5m]))"
                },
                "cps",
            ),
            Panel(
                "Notifications held back",
                {"{{reason}}": "sum by (reason) (increase(forestall_notifications_held_total{}[1h]))"},
                about="Why a receiver was not told; no_route: nobody would be",
            ),
            Panel("Outbox by state", {"{{state}}": "sum by (state) (forestall_outbox_entries{})"}),
        ),
    ),
)
DETECTION: Final = (
    (
        "Findings",
        (
            Panel("Open findings", {"{{kind}}": "sum by (kind) (forestall_open_findings{})"}),
            Panel(
                "Opened an hour",
                {
                    "{{kind}}": 'sum by (kind) (increase(forestall_findings_total{job=~"$job", state="opened"}[1h]))'
                },
            ),
            Panel(
                "Closed an hour",
                {
                    "{{kind}}": 'sum by (kind) (increase(forestall_findings_total{job=~"$job", state="closed"}[1h]))'
                },
            ),
            Panel("Incidents", {"{{state}}": "sum by (state) (forestall_open_incidents{})"}),
            Panel(
                "Changes of incidents an hour",
                {"{{reason}}": "sum by (reason) (increase(forestall_incident_transitions_total{}[1h]))"},
            ),
        ),
    ),
    (
        "Quality",
        (
            Panel(
                "Calibration error",
                {"{{detector}}": "max by (detector) (forestall_detector_calibration_error{})"},
                "percentunit",
                about="Mean gap between stated and observed probability",
            ),
            Panel(
                "Precision of rules, 30 days",
                {"{{rule}}": "forestall:rule_precision:ratio30d"},
                "percentunit",
            ),
            Panel(
                "Answers",
                {"{{rule}} {{answer}}": "sum by (rule, answer) (increase(forestall_answers_total{}[7d]))"},
            ),
            Panel(
                "Unknown codes", {"{{feed}}": "sum by (feed) (increase(forestall_unknown_codes_total{}[1h]))"}
            ),
        ),
    ),
)
MONEY: Final = (
    (
        "Now",
        (
            Panel("Shadow", {"": "max(forestall_shadow{})"}, single=True, about="1: decided, nothing leaves"),
            Panel("Hold", {"": "max(forestall_ledger_hold{})"}, single=True, about="1: nothing may be spent"),
            Panel(
                "Left today",
                {"{{currency}}": 'min by (currency) (forestall_budget_left{job=~"$job", scope="day"})'},
                single=True,
            ),
        ),
    ),
    (
        "Spending",
        (
            Panel(
                "Committed a day",
                {"{{currency}}": "sum by (currency) (increase(forestall_spent_total{}[1d]))"},
            ),
            Panel(
                "Left by budget",
                {"{{scope}} {{currency}}": "min by (scope, currency) (forestall_budget_left{})"},
            ),
            Panel(
                "Decisions an hour",
                {
                    "{{kind}} {{decision}}": "sum by (kind, decision) (increase(forestall_actions_total{}[1h]))"
                },
            ),
            Panel(
                "Why not, an hour",
                {
                    "{{reason}}": "sum by (reason) "
                    '(increase(forestall_actions_total{job=~"$job", decision!="send"}[1h]))'
                },
            ),
            Panel("Arms", {"{{arm}}": "sum by (arm) (increase(forestall_actions_total{}[1d]))"}),
        ),
    ),
)
BOARDS: Final = {
    "operations": ("Forestall: operations", OPERATIONS),
    "detection": ("Forestall: detection quality", DETECTION),
    "money": ("Forestall: money", MONEY),
}


def _targets(panel: Panel) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery()
        .expr(expression.replace("{}", SELECT))
        .legend_format(legend or "__auto")
        .datasource(SOURCE)
        .ref_id(chr(ord("A") + index))
        for index, (legend, expression) in enumerate(panel.queries.items())
    ]


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    built: stat.Panel | timeseries.Panel
    if panel.single:
        built = stat.Panel().height(4).span(4)
    else:
        built = timeseries.Panel().height(8).span(8).fill_opacity(10).min(0)
    built = built.title(panel.title).unit(panel.unit).datasource(SOURCE)
    if panel.about:
        built = built.description(panel.about)
    for target in _targets(panel):
        built = built.with_target(target)
    return built


def build(name: str) -> str:
    title, rows = BOARDS[name]
    board = (
        dashboard.Dashboard(title)
        .uid(f"forestall-{name}")
        .tags(["forestall"])
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("job")
            .query("label_values(forestall_build_info, job)")
            .datasource(SOURCE)
            .include_all(True)
            .multi(True)
        )
    )
    for row, panels in rows:
        board = board.with_row(dashboard.Row(row))
        for panel in panels:
            board = board.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def main() -> None:
    for name in BOARDS:
        path = HERE / "dashboards" / f"{name}.json"
        path.write_text(build(name), encoding="utf-8")
        sys.stdout.write(
            f"{path.name}: {len(json.loads(path.read_text(encoding='utf-8'))['panels'])} panels\n"
        )


if __name__ == "__main__":
    main()
