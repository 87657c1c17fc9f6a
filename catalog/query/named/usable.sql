-- Checkpoints that can be used now, and the config that inference finds for each.
-- :param path (optional): a part of its path
SELECT t.path, t.size, t.modified_at, t.state, m.config_kind, f.path AS config_file, t.run, t.root
FROM migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
LEFT JOIN file f ON f.id = m.config_file_id
WHERE m.state IN ('usable', 'migrated')
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(t.path, CAST(:path AS TEXT), '') <> t.path)
ORDER BY t.root, t.path
