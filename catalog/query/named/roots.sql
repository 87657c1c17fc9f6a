-- The trees that were ingested, and the checkpoints in each, those that are gone included.
-- state: present; missing (nothing that is known of it was there any more at the last look); left
-- out (all of it is, by a pattern); or empty (nothing was ever recognised in it).
SELECT r.host, r.path, r.added_at, COALESCE(n.checkpoints, 0) AS checkpoints,
       COALESCE(n.missing, 0) AS missing,
       CASE WHEN EXISTS (SELECT 1 FROM file f WHERE f.root_id = r.id AND f.state = 'present')
            THEN 'present'
            WHEN EXISTS (SELECT 1 FROM file f
                         WHERE f.root_id = r.id AND f.missing_ingest_id IS NOT NULL)
            THEN 'missing'
            WHEN EXISTS (SELECT 1 FROM file f WHERE f.root_id = r.id) THEN 'left out'
            ELSE 'empty' END AS state
FROM root r
LEFT JOIN (
    SELECT f.root_id, COUNT(*) AS checkpoints, COUNT(f.missing_ingest_id) AS missing
    FROM migration m
    CROSS JOIN file f  -- in this order on SQLite: most files are no checkpoints
    WHERE f.id = m.checkpoint_id
    GROUP BY f.root_id
) n ON n.root_id = r.id
ORDER BY r.host, r.path
