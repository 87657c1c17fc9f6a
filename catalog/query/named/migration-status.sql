-- How many checkpoints are in which state now, and how many bytes they take.
SELECT state, checkpoints, bytes FROM migration_status
