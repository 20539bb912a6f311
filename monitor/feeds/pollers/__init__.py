"""Pollers: what asks providers that do not push, or whose pushes were lost. `runner.py` decides when, the others how."""
