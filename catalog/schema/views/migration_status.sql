-- How many checkpoints are in which state now, and how many bytes they take.
--
-- state: usable (a config lies where inference looks), migrated (the same, written by
--   `catalog recover`), recoverable (unusable, but its run states the config),
--   unrecoverable (unusable, and nothing on disk states it), missing (the checkpoint is gone, other
--   data stands in its place, or a pattern leaves it out of ingests: the `reason_code` in the table
--   migration is `file-missing`, `not-a-checkpoint` or `left-out`)
-- checkpoints: how many
-- bytes: what they take; of missing ones, what they took, or what stands in their place takes
SELECT s.state AS state,
       COALESCE(n.checkpoints, 0) AS checkpoints,
       COALESCE(n.bytes, 0) AS bytes
FROM (
    SELECT 1 AS place, 'usable' AS state
    UNION ALL SELECT 2, 'migrated'
    UNION ALL SELECT 3, 'recoverable'
    UNION ALL SELECT 4, 'unrecoverable'
    UNION ALL SELECT 5, 'missing'
) s
LEFT JOIN (
    SELECT m.state AS state, COUNT(*) AS checkpoints, SUM(f.size) AS bytes
    FROM migration m JOIN file f ON f.id = m.checkpoint_id
    GROUP BY m.state
) n ON n.state = s.state
ORDER BY s.place
