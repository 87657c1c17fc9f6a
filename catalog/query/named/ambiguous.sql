-- Checkpoints that several runs fit equally well, a row a candidate.
SELECT path, run, display_name, run_directory, run_started_at, score, root
FROM ambiguous_links
ORDER BY root, path, score DESC, run
