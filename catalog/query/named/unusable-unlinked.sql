-- Unusable checkpoints that no known run fits.
SELECT t.path, t.size, t.modified_at, m.reason, m.remedy, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  -- The plus keeps SQLite on the index in whose order the rows are wanted: what is few is then
  -- found in it without a look at any other file's state.
  AND +f.id IN (
      SELECT u.checkpoint_id FROM migration u
      WHERE u.state IN ({UNUSABLE})
        AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = u.checkpoint_id
                        AND l.verdict = 'linked')
        AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = u.checkpoint_id
                        AND l.verdict = 'ambiguous')
  )
ORDER BY r.host, r.path, f.path
