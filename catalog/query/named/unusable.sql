-- Checkpoints that cannot be used as they lie there, why, and what to try.
-- :param path (optional): a part of its path
SELECT path, size, modified_at, state, reason, remedy, run, verdict, config_source, root
FROM unusable_checkpoints
WHERE CAST(:path AS TEXT) IS NULL OR REPLACE(path, CAST(:path AS TEXT), '') <> path
ORDER BY root, path
