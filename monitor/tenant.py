"""The secret behind coupon codes, holdout arms and pseudonyms: one, for as long as claims live.

Under another key every customer is a stranger and every coupon has another code, so all would be paid once more. The
store keeps a print of the key; where it is not ours, nothing is spent until a person has said `release`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from config.settings import Settings
from notifier.store import Store

FILE: Final = "tenant-key"
PRINT: Final = "tenant-print"
MADE: Final = (
    "the tenant key was lost and a new one made, beside a store that has a ledger: put the old one back"
)
OTHER: Final = "the tenant key is not the one that this store was used with: put the old one back"


def key_file(settings: Settings) -> Path:
    return settings.data_dir / FILE


def is_kept(settings: Settings) -> bool:
    """Whether there is a key that need not be made."""
    return settings.money.tenant_key is not None or key_file(settings).exists()


def keyed(settings: Settings, key: SecretStr | None) -> Settings:
    """The same with this key: what runs goes on with the one that it began with, whatever becomes of its file."""
    money = settings.money.model_copy(update={"tenant_key": key})
    return settings.model_copy(update={"money": money})


def same_key(given: Settings, running: Settings) -> bool:
    """Whether a start with `given` would come to the key that `running` has."""
    assert running.money.tenant_key is not None  # noqa: S101 -- what runs has one (`keyed`)
    key = running.money.tenant_key.get_secret_value()
    if given.money.tenant_key is not None:
        return given.money.tenant_key.get_secret_value() == key
    try:
        return key_file(given).read_text(encoding="ascii").strip() == key
    except (OSError, UnicodeDecodeError):
        return False


@dataclass(frozen=True, slots=True)
class TenantPrint:
    store: Store
    key: bytes

    async def doubt(self, *, made: bool, decided: bool) -> str | None:
        """Why nothing may be spent under this key; None where it is the one that the store knows, or its first.
        `made`: the key is new; `decided`: the store has a ledger.
        """
        known = await self.store.get(self._name)
        if known is None:
            if made and decided:
                return MADE
            await self.trust()
            return None
        return None if hmac.compare_digest(known, self._print) else OTHER

    async def trust(self) -> None:
        await self.store.put(self._name, self._print)

    @property
    def _name(self) -> str:
        return self.store.key(PRINT)

    @property
    def _print(self) -> bytes:
        return hmac.digest(self.key, b"forestall print of the tenant key", "sha256").hex()[:32].encode()
