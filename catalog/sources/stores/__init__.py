"""Readers of trackers that keep many runs in one place: MLflow and Trackio.

Aim is not read: its runs lie in RocksDB files, which nothing but its own compiled package opens.
"""
