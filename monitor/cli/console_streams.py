"""Standard input, output and errors as a verb needs them, whatever it was started with."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Final

_STANDARD: Final = (0, 1, 2)


def mend() -> None:
    """Before any file is opened: one that takes the number of a closed stream would be written to, or end the event loop.
    And what a terminal's encoding does not have is shown as its number rather than not at all.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
