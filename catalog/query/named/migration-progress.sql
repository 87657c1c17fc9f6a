-- How many checkpoints were in which state after each ingest and each recovery.
SELECT ingest, finished_at, cause, changed, {STATE_COLUMNS}, unusable
FROM migration_progress
ORDER BY ingest
