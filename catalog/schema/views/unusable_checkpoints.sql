-- The checkpoints that cannot be used as they lie there, why, and what to try.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it lies in, and its path below
-- size: bytes on disk
-- modified_at: when it was written, UTC
-- state: one of those that count as unusable (see checkpoint_state)
-- reason_code, reason: why it is unusable, for scripts and as a sentence
-- remedy: what to try
-- verdict, run, run_directory: where it came from, where that is known
-- config_source: the file that states the run's config
-- config_source_state: of that file: present, gone or left out
-- recovery_source, recovery_source_kind: what `catalog recover` would cut the config from
-- loads_by_default: yes, no or unknown: whether `torch.load(file)` takes it as it is
-- best_candidate: the run that wrote it, or the one that most speaks for, by its id
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
       t.config_source AS config_source,
       t.config_source_state AS config_source_state,
       s.path AS recovery_source,
       m.source_kind AS recovery_source_kind,
       t.loads_by_default AS loads_by_default,
       (SELECT COALESCE(u.tracker_run_id, u.identity)
        FROM link l JOIN run u ON u.id = l.run_id
        WHERE l.checkpoint_id = m.checkpoint_id AND l.verdict <> 'rejected'
        ORDER BY CASE l.verdict WHEN 'linked' THEN 0 ELSE 1 END, l.score DESC, l.id
        LIMIT 1) AS best_candidate
FROM migration m
JOIN checkpoint_trace t ON t.checkpoint_id = m.checkpoint_id
LEFT JOIN file s ON s.id = m.source_file_id
WHERE m.state IN ({UNUSABLE})
