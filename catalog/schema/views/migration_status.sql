-- How many checkpoints are in which state now, and how many bytes they take.
--
-- state: usable (a config lies where inference looks), migrated (the same, written by
--   `catalog recover`), recoverable (unusable, but its run states the config),
--   unrecoverable (unusable, and nothing on disk states it), missing (the file is gone)
-- checkpoints: how many
-- bytes: what they take; of missing ones, what they took
SELECT s.state AS state,
       COUNT(m.checkpoint_id) AS checkpoints,
       COALESCE(SUM(f.size), 0) AS bytes
FROM (
    SELECT 1 AS place, 'usable' AS state
    UNION ALL SELECT 2, 'migrated'
    UNION ALL SELECT 3, 'recoverable'
    UNION ALL SELECT 4, 'unrecoverable'
    UNION ALL SELECT 5, 'missing'
) s
LEFT JOIN migration m ON m.state = s.state
LEFT JOIN file f ON f.id = m.checkpoint_id
GROUP BY s.place, s.state
ORDER BY s.place
