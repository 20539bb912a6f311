"""What was given up because nobody wants it any more, told apart from what failed. Light: verbs import it at once."""

from __future__ import annotations

from collections.abc import Mapping


def outbox_counts(states: Mapping[str, int], withdrawn: int) -> dict[str, int]:
    """By state, with what was withdrawn apart from what failed."""
    counts = dict(states)
    if withdrawn:
        counts["failed"] = counts.get("failed", 0) - withdrawn
        counts["withdrawn"] = withdrawn
    return {name: count for name, count in counts.items() if count}
