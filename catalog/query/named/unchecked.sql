-- Checkpoints whose format is recognised and whose content is not read: neither usable nor unusable.
-- :param path (optional): a part of its path
-- :param kind (optional): only those of one format, e.g. joblib
SELECT t.path, t.size, t.format, m.reason, k.path AS config_file, t.run, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
LEFT JOIN file k ON k.id = m.config_file_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state = 'unchecked'
  AND (CAST(:kind AS TEXT) IS NULL OR t.format = CAST(:kind AS TEXT))
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path)
ORDER BY r.host, r.path, f.path
