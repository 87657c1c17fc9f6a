-- Files that look like models and are of a kind that is not read, or that were too large to be read.
-- :param kind (optional): only those of one kind, e.g. joblib
SELECT f.path, f.size, f.modified_at, c.format AS kind, c.reason, r.path AS root
FROM migration m
CROSS JOIN file f  -- in this order on SQLite: few are not read
CROSS JOIN checkpoint c
CROSS JOIN root r
WHERE m.state = 'unchecked' AND f.id = m.checkpoint_id AND c.id = m.checkpoint_id
  AND r.id = f.root_id
  AND (CAST(:kind AS TEXT) IS NULL OR c.format = CAST(:kind AS TEXT))
ORDER BY r.host, r.path, f.path
