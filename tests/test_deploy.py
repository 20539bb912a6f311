"""What is deployed names only what exists: metrics, paths, ports, images, files, settings."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import pytest
import yaml

from config.loading import load
from monitor.assembly import channels
from monitor.metrics import CATALOGUE
from notifier.http import Http

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "forestall.rules.yml"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
KNOWN = {f"forestall_{one.name}{end}": one for one in CATALOGUE for end in SUFFIXES[one.type]}
ADDED = {"instance", "job", "le"}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def read(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def expressions() -> list[str]:
    (rules,) = read(RULES)
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for path in BOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            found += [target["expr"] for target in panel.get("targets", ())]
    return found


def test_no_board_reckons_with_minor_units() -> None:
    """A hundred of them are a yuan, but not a yen: the daemon says whole units, which know their currency."""
    shown = [path.name for path in BOARDS if "minor_units" in path.read_text(encoding="utf-8")]
    assert shown == []


@cache
def recorded() -> set[str]:
    (rules,) = read(RULES)
    return {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_and_labels_that_exist(expression: str) -> None:
    names = set(re.findall(r"\bforestall_\w+", expression))
    assert names <= set(KNOWN)
    assert set(re.findall(r"\bforestall:[\w:]+", expression)) <= recorded()
    labels = {label for name in names for label in KNOWN[name].labels} | ADDED
    grouped = [
        label.strip()
        for part in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression)
        for label in part.split(",")
    ]
    selected = re.findall(r"(\w+)(?:=~|=|!=|!~)\"", expression)
    if names:
        assert {*grouped, *selected} <= labels


@pytest.mark.system("prometheus")
@promtool
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "forestall.rules.yml"),
        ("test", "rules", "forestall.test.yml"),
        ("check", "config", "prometheus.yml"),
    ],
)
def test_prometheus_takes_the_rules_and_their_unit_tests_hold(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do_and_how_bad_it_is() -> None:
    (rules,) = read(RULES)
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 10
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, alert["alert"]
        assert {"summary", "description"} <= alert["annotations"].keys(), alert["alert"]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DEPLOY / "grafana" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


def test_the_dashboards_are_what_the_code_generates() -> None:
    module = generator()
    assert {path.stem for path in BOARDS} == set(module.BOARDS)
    for path in BOARDS:
        assert path.read_text(encoding="utf-8") == module.build(path.stem), "run deploy/grafana/generate.py"


def test_the_compose_file_points_at_what_is_there() -> None:
    (compose,) = read(DEPLOY / "compose.yml")
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith("./") else source in compose["volumes"], (
                name
            )
    (scrape,) = read(DEPLOY / "prometheus" / "prometheus.yml")
    targets = [
        target
        for job in scrape["scrape_configs"]
        for one in job["static_configs"]
        for target in one["targets"]
    ]
    assert {target.split(":")[0] for target in targets} <= services.keys()
    assert scrape["scrape_configs"][0]["job_name"] == "forestall", "the alerts select this job"
    (sources,) = read(DEPLOY / "grafana" / "provisioning" / "datasources.yml")
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "EXPOSE 8787" in dockerfile
    assert services["forestall"]["volumes"][0].split(":")[1] in dockerfile


def test_the_manifests_point_at_each_other() -> None:
    service, stateful = read(DEPLOY / "kubernetes" / "forestall.yml")
    (monitor,) = read(DEPLOY / "kubernetes" / "monitoring.yml")
    pod = stateful["spec"]["template"]
    container = pod["spec"]["containers"][0]
    labels = pod["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == stateful["spec"]["selector"]["matchLabels"]
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == 8787
    volumes = {one["name"] for one in pod["spec"]["volumes"]}
    volumes |= {one["metadata"]["name"] for one in stateful["spec"]["volumeClaimTemplates"]}
    mounted = {mount["name"] for one in pod["spec"]["containers"] for mount in one["volumeMounts"]}
    assert mounted == volumes
    assert stateful["spec"]["replicas"] == 1
    storage = [arg for one in pod["spec"]["containers"] for arg in one["args"] if "--storage.path" in arg]
    data = {mount["mountPath"] for one in pod["spec"]["containers"] for mount in one["volumeMounts"]}
    assert [arg.partition("=")[2] in data for arg in storage] == [True], "its image's own is another user's"
    (compose,) = read(DEPLOY / "compose.yml")
    assert container["image"] == compose["services"]["forestall"]["image"]
    assert f"uid {pod['spec']['securityContext']['runAsUser']}" in (ROOT / "Dockerfile").read_text(
        encoding="utf-8"
    )


def test_the_deployed_config_loads_and_its_channels_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTALL_HTTP__TOKEN", "a token of sixteen or more")
    settings = load(DEPLOY / "config" / "forestall.toml").settings
    assert settings.shadow
    assert set(channels(settings, Http())) == {"alertmanager"}
    assert {name for route in settings.notify.routes for name in route.receivers} <= settings.channels.keys()


def test_an_installed_package_has_every_file_that_a_checkout_has() -> None:
    """Tests run from a checkout: what a wheel leaves out is missed by nobody else."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = [PurePosixPath(one) for one in patterns["tool"]["setuptools"]["package-data"]["*"]]
    left, found = [], 0
    for package in ("config", "detectors", "monitor", "notifier"):
        for path in (ROOT / package).rglob("*"):
            if path.is_dir() or path.suffix in {".py", ".pyc", ".nbi", ".nbc"}:
                continue
            found += 1
            folders = [one for one in path.parents if (one / "__init__.py").exists()]
            names = [PurePosixPath(path.relative_to(one)) for one in folders]
            if not any(
                len(name.parts) == len(wanted.parts) and name.match(str(wanted))
                for name in names
                for wanted in packed
            ):
                left.append(str(path.relative_to(ROOT)))
    assert left == []
    assert found > 50


def test_the_service_manager_ends_the_daemon_and_the_daemon_its_store() -> None:
    """Told at once with the daemon, the store is gone before what was under way is written there."""
    unit = (DEPLOY / "systemd" / "forestall.service").read_text(encoding="utf-8")
    assert "\nKillMode=mixed\n" in unit
    assert "\nUser=forestall\n" in unit
    assert "useradd --system" in unit
