-- Every checkpoint: what it is, which run wrote it, whether it can be used.
-- :param path (optional): a part of its path
SELECT t.path, t.size, t.modified_at, t.format, t.epoch, t.global_step, t.own_score, t.verdict,
       t.run, t.state, t.root
FROM root r
CROSS JOIN file f
JOIN checkpoint_trace t ON t.checkpoint_id = f.id
WHERE f.root_id = r.id
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path)
ORDER BY r.host, r.path, f.path
