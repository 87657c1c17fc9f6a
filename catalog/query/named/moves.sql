-- Checkpoints that were moved or renamed, with where they lay before.
SELECT f.path AS path, o.path AS moved_from, o.missing_ingest_id AS ingest, r.path AS root
FROM checkpoint_move m
JOIN file f ON f.id = m.checkpoint_id
JOIN file o ON o.id = m.moved_from_id
JOIN root r ON r.id = f.root_id
ORDER BY r.path, f.path
