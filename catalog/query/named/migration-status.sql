-- How many checkpoints are in which state now, and how many bytes they take.
-- Those of a state that is part of another are counted in both rows.
SELECT state, checkpoints, bytes, part_of FROM migration_status
