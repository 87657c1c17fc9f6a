-- The evidence for and against each run that may have written a checkpoint.
-- :param checkpoint: its path, or a part of it
SELECT f.path, COALESCE(u.tracker_run_id, u.identity) AS run, l.verdict, l.score, e.kind, e.weight,
       e.detail, g.path AS run_file,
       CASE WHEN g.state = 'present' THEN 'present'
            WHEN g.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN g.id IS NOT NULL THEN 'left out' END AS run_file_state, d.path AS run_directory
FROM root r
CROSS JOIN file f
JOIN link l ON l.checkpoint_id = f.id
JOIN run u ON u.id = l.run_id
JOIN run_directory d ON d.id = l.run_directory_id
JOIN link_evidence e ON e.link_id = l.id
LEFT JOIN file g ON g.id = e.run_file_id
WHERE f.root_id = r.id AND REPLACE(f.path, CAST(:checkpoint AS TEXT), '') <> f.path
ORDER BY r.host, r.path, f.path, l.score DESC, run, e.weight DESC, e.position
