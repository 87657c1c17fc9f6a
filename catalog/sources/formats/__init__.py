"""File formats that hold a model: one module each, with its declaration beside its reader.

A module has `FORMAT`, a `Format` (`format.py`), and all that is known of that format. Nothing else
in `catalog` names a format's suffix, signature or entries. A new format is one module here, its
test, and a line in the changelog; `formats/registry.py` finds it.
"""
