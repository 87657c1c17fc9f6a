-- Files that look like models and are not read: how many of each kind, the most first.
SELECT c.format AS kind, COUNT(*) AS files, SUM(f.size) AS bytes, MIN(f.path) AS first
FROM migration m
CROSS JOIN file f  -- in this order on SQLite: few are not read
CROSS JOIN checkpoint c
WHERE m.state = 'unchecked' AND f.id = m.checkpoint_id AND c.id = m.checkpoint_id
GROUP BY c.format
ORDER BY COUNT(*) DESC, c.format
