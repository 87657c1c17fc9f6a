-- The checkpoints that cannot be used as they lie there, why, and what to try.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it lies in, and its path below
-- size: bytes on disk
-- modified_at: when it was written, UTC
-- state: recoverable (its run states the config) or unrecoverable
-- reason_code, reason: why it is unusable, for scripts and as a sentence
-- remedy: what to try
-- verdict, run, run_directory: where it came from, where that is known
-- config_source: the file that states the run's config
SELECT t.checkpoint_id AS checkpoint_id,
       t.root AS root,
       t.path AS path,
       t.size AS size,
       t.modified_at AS modified_at,
       m.state AS state,
       m.reason_code AS reason_code,
       m.reason AS reason,
       m.remedy AS remedy,
       t.verdict AS verdict,
       t.run AS run,
       t.run_directory AS run_directory,
       t.config_source AS config_source
FROM migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
WHERE m.state IN ('recoverable', 'unrecoverable')
