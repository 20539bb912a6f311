"""Sections whose own class checks them: every text may be a secret (URLs of robots are), so each is kept as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, model_validator

from config.section import Section


class PluginSettings(Section):
    """`type` names the class, the rest are its options."""

    type: str | None = None
    options: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "options" not in value:
            options = {name: _hidden(item) for name, item in value.items() if name != "type"}
            return {"type": value.get("type"), "options": options}
        return value

    def reveal(self) -> dict[str, Any]:
        """The options as written, for the check of their own class; never to be printed."""
        return {name: _revealed(item) for name, item in self.options.items()}


class ChannelSettings(PluginSettings):
    """One [channels.NAME] or [coupons.NAME]."""

    type: str


class FeedSettings(PluginSettings):
    """One [feeds.NAME], [pollers.NAME] or [sources.NAME]; NAME is the type where none is given."""


def _hidden(item: Any) -> Any:
    if isinstance(item, str):
        return SecretStr(item)
    if isinstance(item, Mapping):
        return {name: _hidden(part) for name, part in item.items()}
    return tuple(_hidden(part) for part in item) if isinstance(item, list | tuple) else item


def _revealed(item: Any) -> Any:
    if isinstance(item, SecretStr):
        return item.get_secret_value()
    if isinstance(item, Mapping):
        return {name: _revealed(part) for name, part in item.items()}
    return [_revealed(part) for part in item] if isinstance(item, tuple) else item
