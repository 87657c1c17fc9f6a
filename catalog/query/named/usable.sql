-- Checkpoints that can be used now, and the config that inference finds for each.
-- A doubt is what speaks against that config: it was written after the checkpoint, say.
-- :param path (optional): a part of its path
SELECT t.path, t.size, t.modified_at, m.state, m.config_kind, k.path AS config_file,
       CASE WHEN k.state = 'present' THEN 'present'
            WHEN k.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN k.id IS NOT NULL THEN 'left out' END AS config_file_state, m.doubt, t.run,
       t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
LEFT JOIN file k ON k.id = m.config_file_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state IN ({USABLE})
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path)
ORDER BY r.host, r.path, f.path
