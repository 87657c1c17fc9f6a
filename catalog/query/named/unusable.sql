-- Checkpoints that cannot be used as they are, why, and what to try.
-- :param path (optional): a part of its path
SELECT t.path, t.size, t.modified_at, m.state, m.reason, m.remedy, t.run, t.verdict,
       (SELECT COALESCE(u.tracker_run_id, u.identity)
        FROM link l JOIN run u ON u.id = l.run_id
        WHERE l.checkpoint_id = m.checkpoint_id AND l.verdict <> 'rejected'
        ORDER BY CASE l.verdict WHEN 'linked' THEN 0 ELSE 1 END, l.score DESC, l.id
        LIMIT 1) AS best_candidate,
       t.config_source, t.config_source_state, t.loads_by_default, t.root
FROM root r
CROSS JOIN file f
CROSS JOIN migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
WHERE f.root_id = r.id AND m.checkpoint_id = f.id
  AND m.state IN ({UNUSABLE})
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path)
ORDER BY r.host, r.path, f.path
