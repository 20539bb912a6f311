"""Options that feeds share. Unknown keys are errors with a path; an empty secret is refused before a byte is read."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from notifier.options import Options, Secret


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone of the IANA database") from None
    return name


ZoneName = Annotated[str, AfterValidator(_zone)]


class SignedOptions(Options):
    """`secret` signs what comes in."""

    secret: Secret = Field(description="what the provider signs its pushes with")


class ZonedOptions(SignedOptions):
    timezone: ZoneName = Field("UTC", description="of local times whose place does not tell")

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.timezone)
