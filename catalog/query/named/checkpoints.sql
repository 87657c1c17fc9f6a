-- Every checkpoint: what it is, which run wrote it, whether it can be used.
-- :param path (optional): a part of its path
SELECT path, size, modified_at, format, epoch, global_step, own_score, verdict, run, state, root
FROM checkpoint_trace
WHERE CAST(:path AS TEXT) IS NULL OR REPLACE(path, CAST(:path AS TEXT), '') <> path
ORDER BY root, path
