"""The daemon: feeds, event stream, engine, incidents, policy, schedule, HTTP and command line."""

import os

# Our frames are small: handing them to a thread pool costs more than the work. Read when polars is first imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

__version__ = "0.1.0"
