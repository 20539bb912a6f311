"""Options that feeds share. Unknown keys are errors with a path; an empty secret is refused before a byte is read."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo

from pydantic import Field

from config.zones import ZoneName
from notifier.options import Options, Secret


class SignedOptions(Options):
    """`secret` signs what comes in."""

    secret: Secret = Field(description="what the provider signs its pushes with")


class ZonedOptions(SignedOptions):
    timezone: ZoneName = Field("UTC", description="of local times whose place does not tell")

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.timezone)
