"""The base of every plugin's own options, and the types they share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

LOCAL = {"localhost", "127.0.0.1", "::1"}


class Options(BaseModel):
    """Of one channel or coupon provider: unknown keys are errors, secrets never print (not in errors either)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


def _filled(value: SecretStr) -> SecretStr:
    """An empty secret would sign with an empty key: anyone could forge it."""
    if not value.get_secret_value().strip():
        raise ValueError("is empty")
    return value


def _address(value: SecretStr) -> SplitResult:
    """Raises ValueError where it is none, or what stands before a `#` would be asked instead."""
    try:
        parts = urlsplit(value.get_secret_value())
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats part of the value
        known = False
    if not known:
        raise ValueError("is not an http or https URL")
    if "#" in value.get_secret_value():
        raise ValueError("has a '#': percent-encode it in a password, leave it out elsewhere")
    return parts


def _inside_url(value: SecretStr) -> SecretStr:
    return http_url(value) if "@" in _address(value).netloc else value


def http_url(value: SecretStr) -> SecretStr:
    """Raises ValueError where secrets would go over a network in the clear."""
    parts = _address(value)
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise ValueError(
            "must be https: secrets and personal data pass here (plain http only to this machine)"
        )
    return value


Secret = Annotated[SecretStr, AfterValidator(_filled)]
SecretUrl = Annotated[SecretStr, AfterValidator(http_url)]
InsideUrl = Annotated[SecretStr, AfterValidator(_inside_url)]
"""Of a service inside one's own network that is told neither secrets nor personal data: plain http will do, but with a
name and a password in it."""
PerSecond = Annotated[float | None, Field(gt=0, description="how many requests a second the provider allows")]
