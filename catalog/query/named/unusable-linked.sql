-- Unusable checkpoints whose run is known, with the config of that run.
SELECT t.path, t.run, t.run_directory, t.config_source, t.config_source_state, t.score, m.state, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state IN ({UNUSABLE})
  AND EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = m.checkpoint_id AND l.verdict = 'linked')
ORDER BY r.host, r.path, f.path
