"""The daemon: feeds, event stream, engine, incidents, policy, schedule, HTTP and command line."""

__version__ = "0.1.0"
