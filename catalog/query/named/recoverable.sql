-- Unusable checkpoints whose config is known, and the file that `catalog recover` cuts it from.
SELECT t.path, t.run, s.path AS source,
       CASE WHEN s.state = 'present' THEN 'present'
            WHEN s.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN s.id IS NOT NULL THEN 'left out' END AS source_state, m.source_kind, m.reason, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
JOIN file s ON s.id = m.source_file_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state = 'recoverable'
ORDER BY r.host, r.path, f.path
