-- Checkpoints that were moved or renamed, with where they lay before.
-- What is back at its old place was not moved, but copied.
SELECT f.path AS path, o.path AS moved_from, o.missing_ingest_id AS ingest, r.path AS root,
       b.path AS moved_from_root
FROM checkpoint_move m
CROSS JOIN file f  -- in this order on SQLite: of the many files few were moved
CROSS JOIN file o
CROSS JOIN root r
CROSS JOIN root b
WHERE f.id = m.checkpoint_id AND o.id = m.moved_from_id AND o.missing_ingest_id IS NOT NULL
  AND r.id = f.root_id AND b.id = o.root_id
ORDER BY r.path, f.path
