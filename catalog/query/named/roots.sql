-- The trees that were ingested.
SELECT r.host, r.path, r.added_at, COALESCE(n.checkpoints, 0) AS checkpoints
FROM root r
LEFT JOIN (
    SELECT f.root_id, COUNT(*) AS checkpoints
    FROM checkpoint c JOIN file f ON f.id = c.id
    GROUP BY f.root_id
) n ON n.root_id = r.id
ORDER BY r.host, r.path
