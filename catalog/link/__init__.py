"""Which run wrote which checkpoint: candidates, evidence, verdicts. Rows in, rows out."""
