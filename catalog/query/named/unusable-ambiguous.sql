-- Unusable checkpoints that several runs fit equally well, a row a candidate.
SELECT a.path, a.run, a.run_directory, a.score, a.root
FROM ambiguous_links a
JOIN unusable_checkpoints u ON u.checkpoint_id = a.checkpoint_id
ORDER BY a.root, a.path, a.run
