"""Addresses that any mail server takes: a dot-string before the @, and a domain name in ASCII after it (RFC 5321).

What needs more (letters beyond ASCII before the @, quoted strings, address literals) is not sent to.
"""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Final

import idna

LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
DOMAIN: Final = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
LONGEST_LOCAL: Final = 64
LONGEST: Final = 254


def sendable(address: str) -> Address | None:
    """The address as it goes over the wire, its domain by IDNA 2008; None where it has no such form."""
    local, _, domain = address.rpartition("@")
    if len(address) > LONGEST or len(local) > LONGEST_LOCAL or not LOCAL.fullmatch(local):
        return None
    try:
        domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return None
    if len(local) + 1 + len(domain) > LONGEST or not DOMAIN.fullmatch(domain):
        return None
    return Address(username=local, domain=domain)


def mailbox(text: str) -> Address:
    """An address of the config, with or without a name before it. Raises ValueError where nothing can be sent to it."""
    name, address = parseaddr(text)
    found = sendable(address)
    if found is None:
        raise ValueError("no address that mail can be sent to")
    return Address(name, found.username, found.domain)
