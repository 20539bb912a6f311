"""The base of every plugin's own options, and the types they share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

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


def _any_http_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http or https URL")
    return value


def http_url(value: SecretStr) -> SecretStr:
    """Raises ValueError where secrets would go over a network in the clear."""
    parts = urlsplit(_any_http_url(value).get_secret_value())
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise ValueError(
            "must be https: secrets and personal data pass here (plain http only to this machine)"
        )
    return value


Secret = Annotated[SecretStr, AfterValidator(_filled)]
SecretUrl = Annotated[SecretStr, AfterValidator(http_url)]
InsideUrl = Annotated[SecretStr, AfterValidator(_any_http_url)]
"""Of a service inside one's own network that is told neither secrets nor personal data: plain http will do."""
PerSecond = Annotated[float | None, Field(gt=0, description="how many requests a second the provider allows")]
