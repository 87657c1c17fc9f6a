"""Checkpoints, read without loading them."""
