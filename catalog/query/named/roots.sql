-- The trees that were ingested, and the checkpoints in each, those that are gone included.
-- Other data under a checkpoint's name is none, as in migration-status.
SELECT r.host, r.path, r.added_at, COALESCE(n.checkpoints, 0) AS checkpoints
FROM root r
LEFT JOIN (
    SELECT f.root_id, COUNT(*) AS checkpoints
    FROM migration m
    CROSS JOIN file f  -- in this order on SQLite: most files are no checkpoints
    WHERE f.id = m.checkpoint_id
    GROUP BY f.root_id
) n ON n.root_id = r.id
ORDER BY r.host, r.path
