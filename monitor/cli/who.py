"""Who sits at the keyboard, for the audit."""

from __future__ import annotations

import getpass
import os


def login() -> str:
    """In a container a process may run under a number that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
