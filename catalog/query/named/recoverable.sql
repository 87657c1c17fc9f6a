-- Unusable checkpoints whose config is known, and the file that `catalog recover` cuts it from.
SELECT t.path, t.run, s.path AS source, m.source_kind, m.reason, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
JOIN file s ON s.id = m.source_file_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state = 'recoverable'
ORDER BY r.host, r.path, f.path
