"""The compiled kernels of the parcel stage. `monitor.engine.plain` says the same in plain Python, and is the oracle.

Arrays are named in `state.Table` and `state.World`; records are read and written by field name.
"""
