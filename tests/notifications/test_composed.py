"""What ops alerts become on their way through the ledger's outbox."""

from __future__ import annotations

import asyncio
from typing import cast

from notifier.compose import Composer
from notifier.ledger import Ledger
from notifier.outbox import Entry
from notifier.templates import Templates
from tests.notifications.test_messages import DESK, a_jam


def test_delivery_composes_what_the_incident_said() -> None:
    from monitor.notifications.proposals import propose

    proposal = propose(a_jam(), DESK)
    fields = dict.fromkeys(Entry.__dataclass_fields__)
    entry = Entry(**{**fields, "action_id": "A1", "proposal": proposal})  # type: ignore[arg-type]
    composer = Composer(cast("Ledger", None), cast("Templates", None))
    message = asyncio.run(composer.message(entry, None))
    assert (message.key, message.thread) == ("A1", proposal.incident_id)
    assert "HUB-1" in message.title
    assert len(message.buttons) == 4
