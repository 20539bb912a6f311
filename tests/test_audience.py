"""Who is told: receivers and matchers that cannot be are refused, and what nobody will hear of is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from config.loading import ConfigError
from config.settings import Settings
from monitor.assembly import approvers_of
from monitor.audience import RESOLVE_SECONDS, check_audience, unheard
from monitor.doctor import Verdict, examine
from notifier.channels.alertmanager import AlertmanagerOptions

OPS = {"type": "slack", "url": "https://hooks.example/T0/s3cret"}
ALL = {"name": "all", "receivers": ["ops"]}
SALE = {"name": "sale", "starts_at": "2026-11-11T00:00:00Z", "ends_at": "2026-11-12T00:00:00Z"}
WHOLE: dict[str, Any] = {
    "channels": {"ops": OPS},
    "http": {"public_url": "https://forestall.example"},
    "notify": {
        "routes": [ALL],
        "digest_receivers": ["ops"],
        "approval_receivers": ["ops"],
        "heartbeat_url": "https://watch.example/1",
    },
}


def settings(**changes: Any) -> Settings:
    notify = {**WHOLE["notify"], **changes.pop("notify", {})}
    return Settings.model_validate({**WHOLE, "notify": notify, **changes})


def test_where_everything_is_set_nothing_is_said() -> None:
    check_audience(settings())
    assert unheard(settings()) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"notify": {"routes": [{**ALL, "receivers": ["opz"]}]}}, "notify.routes.all.receivers"),
        ({"notify": {"routes": [{**ALL, "match": ["kind"]}]}}, "notify.routes.all.match"),
        ({"notify": {"digest_receivers": ["opz"]}}, "notify.digest_receivers"),
        ({"notify": {"approval_receivers": ["opz"]}}, "notify.approval_receivers"),
        (
            {"incidents": {"escalation": [{"after_seconds": 60, "receivers": ["boss"]}]}},
            "incidents.escalation.1.receivers",
        ),
        ({"incidents": {"inhibit": [{"source": ["xx"], "target": []}]}}, "incidents.inhibit.1.source"),
        ({"incidents": {"inhibit": [{"source": [], "target": ['kind=~"("']}]}}, "incidents.inhibit.1.target"),
        ({"incidents": {"maintenance": [{**SALE, "match": ["xx"]}]}}, "incidents.maintenance.sale.match"),
    ],
)
def test_what_leads_nowhere_is_refused_by_its_place(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_audience(settings(**changes))
    (problem,) = caught.value.problems
    assert problem.startswith(f"{where}: ")
    assert "s3cret" not in problem


def test_a_maintenance_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="ends_at must be after starts_at"):
        settings(incidents={"maintenance": [{**SALE, "ends_at": SALE["starts_at"]}]})


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"notify": {"routes": []}}, "[[notify.routes]]"),
        ({"notify": {"routes": [{**ALL, "match": ['severity="critical"']}]}}, "every route has a match"),
        ({"notify": {"digest_receivers": []}}, "notify.digest_receivers"),
        ({"notify": {"approval_receivers": []}}, "notify.approval_receivers"),
        ({"notify": {"heartbeat_url": None}}, "notify.heartbeat_url"),
        ({"http": {}}, "http.public_url"),
        ({"channels": {"ops": {"type": "alertmanager", "url": "https://am.example"}}}, "at most 1800"),
    ],
)
def test_what_nobody_will_hear_of_names_the_setting(changes: dict[str, Any], setting: str) -> None:
    (gap,) = unheard(settings(**changes))
    assert setting in gap


def test_who_approves_is_asked_and_not_who_is_alerted_first() -> None:
    channels = {"ops": OPS, "boss": OPS}
    assert approvers_of(settings(channels=channels, notify={"approval_receivers": ["boss"]})) == ("boss",)
    assert approvers_of(settings(channels=channels, notify={"approval_receivers": []})) == ("ops",)
    assert approvers_of(settings(notify={"approval_receivers": [], "routes": []})) == ()


def test_a_route_that_repeats_in_time_keeps_its_alerts_alive() -> None:
    given = settings(
        channels={"ops": {"type": "alertmanager", "url": "https://am.example", "resolve_seconds": 7200}},
        notify={"routes": [{**ALL, "repeat_interval_seconds": 3600}]},
    )
    assert unheard(given) == []
    assert AlertmanagerOptions(url=SecretStr("https://am.example")).resolve_seconds == RESOLVE_SECONDS


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("notify", "verdict"),
    [
        ({}, Verdict.OK),
        ({"routes": []}, Verdict.WARNING),
        ({"routes": [{**ALL, "receivers": ["opz"]}]}, Verdict.WRONG),
    ],
)
async def test_the_doctor_says_so(tmp_path: Any, notify: dict[str, Any], verdict: Verdict) -> None:
    given = settings(notify=notify, data_dir=str(tmp_path), store={"allow_unsafe_folder": True})
    verdicts = [check.verdict async for check in examine(given) if check.name == "alerts"]
    assert verdicts == [verdict]
