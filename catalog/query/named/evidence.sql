-- The evidence for and against each run that may have written a checkpoint.
-- :param checkpoint: its path, or a part of it
SELECT c.path, COALESCE(u.tracker_run_id, u.identity) AS run, l.verdict, l.score, e.kind, e.weight,
       e.detail, f.path AS run_file, d.path AS run_directory
FROM checkpoint_file c
JOIN link l ON l.checkpoint_id = c.checkpoint_id
JOIN run u ON u.id = l.run_id
JOIN run_directory d ON d.id = l.run_directory_id
JOIN link_evidence e ON e.link_id = l.id
LEFT JOIN file f ON f.id = e.run_file_id
WHERE REPLACE(c.path, CAST(:checkpoint AS TEXT), '') <> c.path
ORDER BY c.path, l.score DESC, run, e.weight DESC, e.id
