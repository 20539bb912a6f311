"""Structured logs to stderr, with a last line of defence against personal data.

Code never passes a phone number, an address or a secret to a log call; this processor is for the text of foreign
exceptions, which may quote anything.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

HIDDEN = "<hidden>"
_KEYS = re.compile(
    r"phone|email|openid|contact|address|token|secret|password|signature|authorization|signed_by",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # e-mail
    r"|(?<![\w-])\+?\d{1,3}[- ]?1[3-9]\d{9}(?!\w)"  # Chinese mobile with country code
    r"|(?<![\w-])1[3-9]\d{9}(?!\w)"  # Chinese mobile
    r"|(?<=://)[^/@\s:]*:[^@\s/]+(?=@)"  # user:password in a URL
    r"|(?<=access_token=)[^&\s]+|(?<=key=)[^&\s]+|(?<=token=)[^&\s]+|(?<=sign=)[^&\s]+"
)


def hide(value: Any) -> Any:
    if isinstance(value, str):
        return _TEXT.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {key: HIDDEN if _KEYS.search(str(key)) else hide(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide(one) for one in value]
    return value


def _redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: HIDDEN if _KEYS.search(key) else hide(value) for key, value in event.items()}


def configure(*, json: bool, level: str = "info") -> None:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    foreign = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(foreign)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
