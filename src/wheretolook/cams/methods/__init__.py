"""The CAM methods.

To add a method, write its `Method` in a module of this package, and its name in `CAM_METHODS` (`mapstore/store.py`).
"""
