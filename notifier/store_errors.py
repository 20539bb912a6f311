"""What can go wrong with the store, in three classes and one line each.

    StoreError
    +- StoreUnreachableError  not connected, timed out, connection lost: try later; the command may have been done
    +- StoreFullError         writes are refused (memory, disk, replica): reads still work; try later
    +- StoreRefusedError      wrong password, too old, wrong type, a mistake of ours: trying again changes nothing

Replies of a server can quote arguments (an unknown command does), and arguments hold personal data: these errors
carry the reply's code and our own words, never the reply.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_CODE = re.compile(r"^[A-Z][A-Z0-9_]{2,30}$")
_LUA = re.compile(r"user_script:(\d+): (attempt to [a-z '()_]{1,80})")
_OF_A_PIPELINE = " of pipeline caused error: "  # what the client puts before a tuple of it, with the command
_LINE = re.compile(r"user_script:(\d+)")

WORDS = {
    "OOM": "the store is full (maxmemory, noeviction): it refuses writes until there is room",
    "MISCONF": "the store cannot write to its disk and refuses writes",
    "READONLY": "the store is a read-only replica",
    "NOREPLICAS": "the store lacks the replicas it must have to accept writes",
    "LOADING": "the store is still loading its data",
    "BUSY": "the store is busy with a script",
    "WRONGPASS": "the store refuses the user name or password",
    "NOAUTH": "the store asks for a password; put it into the URL",
    "NOPERM": "the store's user may not use this command or key",
    "WRONGTYPE": "a key under our prefix holds another type: does another program use the same prefix?",
    "MOVED": "the store is one node of a cluster that keeps our keys elsewhere; name the node or proxy that owns them",
    "CLUSTERDOWN": "the cluster of the store is down",
    "UNBLOCKED": "the store was made a replica while it was asked",
}
FULL = {"OOM", "MISCONF", "READONLY", "NOREPLICAS"}
LATER = {"LOADING", "BUSY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "ASK", "UNBLOCKED"}


class StoreError(Exception):
    """`code` is the first word of the server's reply (`OOM`, `WRONGTYPE`, ...) or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class StoreUnreachableError(StoreError):
    pass


class StoreFullError(StoreError):
    pass


class StoreRefusedError(StoreError):
    pass


def from_reply(text: str, code: str | None) -> StoreError:
    """The error for a reply of the server; of `text` only the code and a script's line number survive."""
    text = text.rpartition(_OF_A_PIPELINE)[2].lstrip("('\"")
    first = code or text.split(" ", 1)[0]
    if not _CODE.match(first):
        first = "ERR"
    if first == "ERR" and "password" in text:
        return StoreRefusedError(WORDS["WRONGPASS"], "WRONGPASS")
    message = WORDS.get(first, f"the store answered {first}")
    if found := _LUA.search(text):
        message += f", script line {found[1]}: {found[2].strip()}"
    elif found := _LINE.search(text):
        message += f", script line {found[1]}"
    if first in FULL:
        return StoreFullError(message, first)
    if first in LATER:
        return StoreUnreachableError(message, first)
    return StoreRefusedError(message, first)


def safe_url(url: str) -> str:
    """The URL without user, password and query: fit for a log."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
