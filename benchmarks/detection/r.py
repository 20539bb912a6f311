"""R's `surveillance` beside ours (Debian: r-cran-surveillance r-base-core), where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt


@cache
def available() -> bool:
    program = shutil.which("Rscript")
    if program is None:
        return False
    check = [program, "-e", "quit(status = !requireNamespace('surveillance', quietly = TRUE))"]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0


def wanted(series: int) -> bool:
    if series and not available():
        print("R's surveillance is not installed (apt-get install r-cran-surveillance r-base-core):")
        print("only the documented anchors stand beside ours.")
    return series > 0 and available()


def run(script: str, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The script reads `input` (a matrix) and leaves its answer in `output` (a matrix)."""
    with tempfile.TemporaryDirectory() as folder:
        source, sink = Path(folder) / "in.csv", Path(folder) / "out.csv"
        np.savetxt(source, table, delimiter=",", fmt="%.10g")
        whole = (
            "suppressMessages(library(surveillance))\n"
            f"input <- as.matrix(read.csv('{source}', header = FALSE)); dimnames(input) <- NULL\n"
            f"{script}\n"
            f"write.table(output, '{sink}', sep = ',', row.names = FALSE, col.names = FALSE)\n"
        )
        done = subprocess.run(["Rscript", "-"], input=whole, text=True, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"R failed: {done.stderr[-2000:]}")
        return np.loadtxt(sink, delimiter=",", ndmin=2)


def farrington_flexible(series: npt.NDArray[np.float64], scored: int, years: int) -> npt.NDArray[np.bool_]:
    """Alarms of the last `scored` weeks with Noufaily's settings, alpha .01; rows are series."""
    script = f"""
    control <- list(range = (ncol(input) - {scored} + 1):ncol(input), b = {years}, w = 3, noPeriods = 10,
                    pastWeeksNotIncluded = 26, weightsThreshold = 2.58, thresholdMethod = "nbPlugin",
                    alpha = 0.01, fitFun = "algo.farrington.fitGLM.flexible", trend = TRUE, populationOffset = FALSE)
    output <- t(apply(input, 1, function(counts) {{
      found <- suppressWarnings(farringtonFlexible(sts(observed = counts, start = c(2000, 1), frequency = 52), control))
      as.integer(alarms(found)[, 1])
    }}))
    """
    return run(script, series) > 0
