"""Who may import whom, and the one named seam of each foreign engine."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("monitor", "detectors", "notifier", "config")
MAY_IMPORT = {
    "monitor": set(OURS),
    "detectors": {"detectors"},
    "notifier": {"notifier"},
    "config": {"config"},
}
SEAMS = {
    "apscheduler": {"monitor/schedule.py"},
    "redis": {"notifier/store.py"},
    "httpx": {"notifier/http.py"},
    "river": {"detectors/river_adapter.py"},
}


@cache
def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


SOURCES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert imports(path) & set(OURS) <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_foreign_engine_has_one_seam(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for engine, seams in SEAMS.items():
        assert engine not in imports(path) or here in seams, f"{here} imports {engine}; its seam is {seams}"
