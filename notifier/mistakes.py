"""Errors of our own, told without their texts, which may quote a customer."""

from __future__ import annotations

import traceback
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def tell(event: str, error: BaseException, **about: str) -> None:
    """One line of the log: what kind of error, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    log.error(event, error=type(error).__name__, place=place, **about)
