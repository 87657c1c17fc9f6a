-- Every change of a checkpoint's state, the newest first.
-- :param path (optional): a part of its path
SELECT e.at, f.path, e.from_state, e.to_state, e.reason, e.ingest_id AS ingest,
       e.recovery_id AS recovery, r.path AS root
FROM migration_event e
JOIN file f ON f.id = e.checkpoint_id
JOIN root r ON r.id = f.root_id
WHERE CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path
ORDER BY e.id DESC
