-- Unusable checkpoints that no known run fits.
SELECT t.path, t.size, t.modified_at, m.reason, m.remedy, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state IN ('recoverable', 'unrecoverable')
  AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = m.checkpoint_id
                  AND l.verdict = 'linked')
  AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = m.checkpoint_id
                  AND l.verdict = 'ambiguous')
ORDER BY r.host, r.path, f.path
