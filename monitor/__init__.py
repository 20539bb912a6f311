"""The daemon: feeds, event stream, engine, incidents, policy, schedule, HTTP and command line."""

import os

# Our frames and matrices are small: handing them to threads costs more than the work, and one that waits for another
# keeps a processor busy. Read when polars and numpy are first imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
