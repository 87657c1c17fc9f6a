-- Checkpoints that several runs fit equally well, a row a candidate. Nothing is guessed: a person
-- or more evidence decides.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it lies in, and its path below
-- run, display_name: a candidate's id at its tracker, and the name that people gave it
-- run_directory: the folder of that run that fits best
-- run_started_at: when that run started, UTC
-- score: log-odds of this candidate
SELECT c.id AS checkpoint_id,
       r.path AS root,
       f.path AS path,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       u.display_name AS display_name,
       d.path AS run_directory,
       u.started_at AS run_started_at,
       l.score AS score
FROM link l
JOIN checkpoint c ON c.id = l.checkpoint_id
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
JOIN run u ON u.id = l.run_id
JOIN run_directory d ON d.id = l.run_directory_id
WHERE l.verdict = 'ambiguous'
