"""Chinese sentences end, pause and bracket as Chinese does: with full-width signs, in detectors, templates and console."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HAN = re.compile(r"[\u4e00-\u9fff]")
ASCII_SIGN = re.compile(r"[,;!?()]|:(?!//)")
BESIDE_HAN = re.compile(r"[\u4e00-\u9fff] ?[,:;!?()]|[,:;!?()] ?[\u4e00-\u9fff]")
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
# Patterns that read what others write, and steps in English that name the buttons of Chinese pages.
OF_OTHERS = ("monitor/feeds/", "detectors/text.py", "config/regions.py")
TEMPLATES = sorted(
    path
    for folder in ("notifier/templates", "monitor/console/templates", "monitor/console/static")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".j2", ".html", ".js", ".json"}
)


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text with its line; an f-string is one, without what it holds in braces."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values),
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def wrong(code: str) -> list[tuple[int, str]]:
    return [
        (line, text) for line, text in texts(ast.parse(code)) if HAN.search(text) and ASCII_SIGN.search(text)
    ]


def test_no_sentence_in_the_code_has_half_width_signs() -> None:
    found, chinese = {}, 0
    for package in ("config", "detectors", "monitor", "notifier"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            code = path.read_text(encoding="utf-8")
            if not HAN.search(code) or name.startswith(OF_OTHERS):
                continue
            chinese += 1
            if lines := wrong(code):
                found[name] = lines
    assert found == {}
    assert chinese >= 8


@pytest.mark.parametrize(
    "code", ['f"{x} 起,平常约 {y}"', '"主要原因:"', 'zh = f"停滞(约 {n} 件)"', 'f"{a} 起" + ";主要"']
)
def test_such_a_sentence_would_be_seen(code: str) -> None:
    assert wrong(code)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_has_half_width_signs_beside_chinese(path: Path) -> None:
    said = JINJA.sub("", path.read_text(encoding="utf-8"))
    assert BESIDE_HAN.findall(said) == []


def test_the_templates_are_found() -> None:
    assert sum(bool(HAN.search(path.read_text(encoding="utf-8"))) for path in TEMPLATES) >= 20
