-- Checkpoints that runs or models started from or read, a row for each that a file names.
SELECT COALESCE(u.tracker_run_id, d.path) AS run, l.named_as AS named_as, l.path AS named,
       p.path AS parent, p.state AS state, f.path AS file
FROM lineage l
LEFT JOIN run_directory d ON d.id = l.run_directory_id
JOIN file f ON f.id = l.file_id
LEFT JOIN run u ON u.id = d.run_id
LEFT JOIN file p ON p.id = l.parent_id
ORDER BY 1, 3, 2
