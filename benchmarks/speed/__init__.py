"""How fast, beside what: `python -m benchmarks.speed` prints one table; every row does the same job and must count alike."""
