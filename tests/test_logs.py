from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from monitor import logs


@pytest.mark.parametrize(
    "text",
    [
        "call 13812345678 now",
        "+86 13812345678",
        "a.b@example.com wrote",
        "redis://u:hunter2@host/0",
        "access_token=hunter2&x=1",
    ],
)
def test_texts_that_quote_personal_data_or_secrets_are_hidden(text: str) -> None:
    hidden = logs.hide(text)
    assert logs.HIDDEN in hidden
    for secret in ("13812345678", "a.b@example.com", "hunter2"):
        assert secret not in hidden


@pytest.mark.parametrize(
    "text", ["SF1380013800013", "F0123456789abcdef01234567", "2026-11-22T04:05:06Z", "1700000000000"]
)
def test_ids_and_times_stay_readable(text: str) -> None:
    assert logs.hide(text) == text


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What is configured here writes to this test's own stderr, which is closed after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_exception_in_the_log_is_hidden_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    try:
        raise ValueError("no such number 13812345678")
    except ValueError:
        structlog.get_logger("x").exception("delivery.failed", phone="13812345678")
    line = capsys.readouterr().err
    assert "13812345678" not in line
    assert json.loads(line)["event"] == "delivery.failed"
