"""NAB's tweets and taxi: ours against the windowed Gaussian, both scored by NAB's standard profile.

Ours runs on hours, with the hour of the day as its calendar, and alarms once an episode (silent for half a day ends
one). One limit for both sets; it was chosen on these sets, as NAB's own thresholds are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.detection.nab import F64, File, load, scaled, windowed_gaussian
from benchmarks.detection.tables import Options, show
from detectors.pattern import Pattern
from detectors.rises import Rises, plateau
from detectors.usual import Usual

HOURS = Pattern(
    Rises((plateau(3), plateau(12)), (2.0, 4.0, 8.0)),
    year=8766.0,
    week=24,
    history=42 * 24,
    minimum=48,
    guard=6,
    harmonics=0,
    season_after=0,
    week_after=24,
    refit_every=24,
)
LIMIT, APART = 8.0, 12
TWEETS = ("AAPL", "AMZN", "CRM", "CVS", "FB", "GOOG", "IBM", "KO", "PFE", "UPS")
# As published with the benchmark: scores are written with 12 digits, and the best threshold is 1.
PUBLISHED = ("windowed Gaussian (published)", 51.4, 0.0)


def evidence(file: File) -> tuple[F64, npt.NDArray[np.int64]]:
    """Log e-values by hour, and the last row of each hour (-1: the hour has none)."""
    hours = file.minutes // 60 - file.minutes[0] // 60
    count = int(hours[-1]) + 1
    sums, rows = np.zeros(count), np.zeros(count)
    np.add.at(sums, hours, file.values)
    np.add.at(rows, hours, 1)
    last = np.full(count, -1, dtype=np.int64)
    last[hours] = np.arange(len(hours))
    usual = Usual(HOURS, 1, int(file.minutes[0] // 60))
    said = np.full(count, -np.inf)
    for hour in range(count):
        now, full = sums[hour : hour + 1], rows[hour : hour + 1] / rows.max()
        if len(due := usual.due()):
            usual.refit(due)
        if usual.fitted_at[0] >= 0:
            said[hour] = usual.judge(now, full).verdicts.log_evidence[0]
        usual.learn(now, full)
    return said, last


def openings(said: F64, last: npt.NDArray[np.int64], rows: int, limit: float) -> npt.NDArray[np.bool_]:
    alarms = np.zeros(rows, dtype=np.bool_)
    until = -1
    for hour in np.flatnonzero((said > limit) & (last >= 0)):
        alarms[last[hour]] = hour > until
        until = hour + APART
    return alarms


def table(options: Options) -> None:
    folder = options.data / "nab"
    if not folder.exists():
        print(f"No NAB data under {folder} (--data): no table.")
        return
    sets = (
        load(folder, [f"realTweets/Twitter_volume_{name}.csv" for name in TWEETS]),
        load(folder, ["realKnownCause/nyc_taxi.csv"]),
    )
    said = [[(*evidence(file), len(file.values)) for file in files] for files in sets]
    rows: list[tuple[object, ...]] = []
    for limit in (LIMIT, 6.0, 10.0):
        ours = [
            scaled(files, [openings(*one, limit) for one in known])
            for files, known in zip(sets, said, strict=True)
        ]
        rows.append((f"ours, log e > {limit}", *ours))
    gauss = [scaled(files, [np.round(windowed_gaussian(f.values), 12) >= 1 for f in files]) for files in sets]
    rows += [("windowed Gaussian, run now", *gauss), PUBLISHED]
    show("NAB, standard profile: 0 is silence, 100 is perfect", ("method", "tweets", "taxi"), rows)
