"""What can be used, what can be made usable, and doing it: sidecars, a journal, states."""
