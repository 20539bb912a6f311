"""Whether the data folder is the one that this daemon wrote, or a copy of it: put back from a backup, or moved.

Store, checkpoints and the record of words that left agree with each other in a copy, so nothing in it can tell that more was
said since. But a copied file is another file: it has another number and another time of its making. Both must differ,
as a change of owner renews the time, and some network file systems number files anew with each mount. Not noticed are a copy of
a whole disk, and a copy that is put back over the folder, as it writes into the same files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "original"
KNOWN: Final = "original.known"
COPIED: Final = (
    "this data folder is a copy, put back or moved: what was said since it was made is not known here"
)


@dataclass(frozen=True, slots=True)
class Original:
    folder: Path

    def doubt(self) -> str | None:
        """Why nothing may be spent from here; None where the folder is its own original, or was not marked yet."""
        try:
            number, made = map(int, (self.folder / KNOWN).read_text(encoding="ascii").split())
            found = (self.folder / FILE).stat()
        except (FileNotFoundError, ValueError):
            self.trust()
            return None
        return COPIED if found.st_ino != number and found.st_ctime_ns != made else None

    def trust(self) -> None:
        """From now on this is the original. The mark is made anew: a file that is never written keeps its time."""
        path, draft = self.folder / FILE, self.folder / f".{KNOWN}.writing"
        (self.folder / KNOWN).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        made = path.stat()
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{made.st_ino} {made.st_ctime_ns}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / KNOWN)
