-- Unusable checkpoints that several runs fit equally well, a row a candidate.
SELECT a.path, a.run, a.run_directory, a.score,
       COUNT(*) OVER (PARTITION BY a.checkpoint_id) AS candidates, a.root
FROM ambiguous_links a
WHERE EXISTS (SELECT 1 FROM migration m
              WHERE m.checkpoint_id = a.checkpoint_id
                AND m.state IN ({UNUSABLE}))
ORDER BY a.root, a.path, a.score DESC, a.run
