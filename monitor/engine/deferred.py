"""Where the engine takes `Deferred` from: detectors write evidence late, too."""

from detectors.deferred import Deferred

__all__ = ["Deferred"]
