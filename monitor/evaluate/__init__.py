"""How good the findings of a replay are, against a truth; and which thresholds keep to a budget of false alarms.

`evaluate` matches episodes to anomalies (`matching`), measures each detector (`measures`) and gives a `Report`;
`curves` draws it; `tune` needs no truth, only what became of the shop's own findings;
`with_thresholds` writes what it says into a policy pack.
"""

from __future__ import annotations

from monitor.evaluate.costs import Costs
from monitor.evaluate.curves import curves
from monitor.evaluate.packs import with_thresholds
from monitor.evaluate.report import Report, evaluate
from monitor.evaluate.tune import Tuned, tune

__all__ = ["Costs", "Report", "Tuned", "curves", "evaluate", "tune", "with_thresholds"]
