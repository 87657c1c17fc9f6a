-- Known checkpoints that are there and that a pattern leaves out of ingests now.
-- All that is known of them is kept; without the pattern the next ingest takes them in again.
SELECT f.path, f.size, f.modified_at, m.reason, m.remedy, r.path AS root
FROM migration m
CROSS JOIN file f  -- in this order on SQLite: few are left out
CROSS JOIN root r
WHERE m.state = 'left out' AND f.id = m.checkpoint_id
  AND r.id = f.root_id
ORDER BY r.path, f.path
