"""Readers: what a file on disk says, as plain facts."""
