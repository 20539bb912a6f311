"""How fast, beside what: `python -m benchmarks.speed` prints one table; every row does the same job and must count alike."""

import monitor  # noqa: F401 - first: the libraries that rows use run on as many threads as in the daemon
