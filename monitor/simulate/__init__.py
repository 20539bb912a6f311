"""A synthetic world with its truth: orders, scans and complaints of a shop in China, and what really went wrong.

`simulate` writes one world to a folder; `World` is the endless one of the demo. The same arguments give the same
bytes.
"""

from __future__ import annotations

from monitor.simulate.faults import SCENARIOS
from monitor.simulate.stream import Announcement, World
from monitor.simulate.write import Summary, simulate

__all__ = ["SCENARIOS", "Announcement", "Summary", "World", "simulate"]
