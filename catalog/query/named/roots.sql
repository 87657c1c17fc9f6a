-- The trees that were ingested.
SELECT r.host, r.path, r.added_at,
       (SELECT COUNT(*) FROM checkpoint_file c WHERE c.host = r.host AND c.root = r.path)
           AS checkpoints
FROM root r
ORDER BY r.host, r.path
