"""From a tree on disk to rows: scan, read what is new, write in batches, gather runs."""
