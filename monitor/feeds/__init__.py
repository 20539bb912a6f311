"""Feeds: what turns a provider's payload into canonical events. `registry.py` has the list, `base.py` the contract."""
