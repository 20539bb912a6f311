"""What one ops message becomes in its chat: a post, its further parts, or an edit of the post that is there already.

The first post of an incident is remembered (`References`). What comes later edits it, so that the chat shows one
message a problem and always its present state; what people must notice is said once more under it. A post that was
remembered by this very action was made before a crash: it is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from notifier.parts import split
from notifier.sending import Channel, Message, Splitting
from notifier.store import Store

KEPT_MS: Final = 90 * 86_400_000


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """A post in a chat, and the action that made it."""

    action_id: str
    provider_id: str


class References:
    def __init__(self, store: Store) -> None:
        self._store = store

    def _key(self, channel: str, thread: str) -> str:
        return self._store.key("posts", channel, thread)

    async def get(self, channel: str, thread: str) -> Reference | None:
        found = await self._store.get(self._key(channel, thread))
        return msgspec.json.decode(found, type=Reference) if found is not None else None

    async def put(self, channel: str, thread: str, reference: Reference) -> None:
        await self._store.put(
            self._key(channel, thread), msgspec.json.encode(reference), milliseconds=KEPT_MS
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """`posts` in order. `done`: how many of them a crash left behind as sent but not recorded."""

    posts: Sequence[Message]
    done: int = 0


def plan(
    message: Message, channel: Channel, action_id: str, known: Reference | None, first: str | None
) -> Plan:
    """`known` is the incident's post in this chat, `first` the post of this action's first part, where there is one."""
    posts = split(message, channel.fits) if isinstance(channel, Splitting) else [message]
    can = channel.capabilities
    if not can.update or known is None or known.action_id == action_id:
        parent = known.provider_id if known is not None else first
        further = [replace(post, reply_to=parent if can.thread else None) for post in posts[1:]]
        return Plan([posts[0], *further], done=int(known is not None and can.update))
    parent = known.provider_id
    further = [replace(post, reply_to=parent) for post in posts[1:]]
    return Plan([replace(posts[0], update_of=parent), *further, *_said_aloud(message, parent)])


def _said_aloud(message: Message, parent: str) -> list[Message]:
    """An edit wakes nobody: what must be noticed is said under it, without repeating what it shows."""
    if message.tell == "edit":
        return []
    notice = replace(
        message,
        key=f"{message.key}.notice",
        body="",
        fields=(),
        buttons=(),
        image=None,
        image_url=None,
        reply_to=parent,
    )
    return [notice]
