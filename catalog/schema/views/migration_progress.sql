-- How many checkpoints were in which state after each ingest and each recovery.
--
-- ingest: number of the ingest (a recovery ends with one, its cause says so)
-- finished_at: its end, UTC
-- cause: `ingest`, or `recovery N`
-- changed: checkpoints whose state changed with it
-- {STATE_COLUMNS}: checkpoints in that state after it; those migrated are of the usable
-- unusable: all that count as unusable together (see checkpoint_state): what is left to do
SELECT i.id AS ingest,
       i.finished_at AS finished_at,
       i.cause AS cause,
       (SELECT COUNT(*) FROM migration_event e WHERE e.ingest_id = i.id) AS changed,
       {STATE_SUMS},
       COALESCE(SUM(CASE WHEN d.state IN ({UNUSABLE}) THEN d.delta END), 0)
           AS unusable
FROM ingest i
LEFT JOIN (
    SELECT ingest_id, to_state AS state, COUNT(*) AS delta
    FROM migration_event GROUP BY ingest_id, to_state
    UNION ALL
    SELECT ingest_id, from_state, -COUNT(*)
    FROM migration_event WHERE from_state IS NOT NULL GROUP BY ingest_id, from_state
) d ON d.ingest_id <= i.id
GROUP BY i.id, i.finished_at, i.cause
ORDER BY i.id
