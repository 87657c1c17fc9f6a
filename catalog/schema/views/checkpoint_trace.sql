-- One row a checkpoint: what it is, which run wrote it, how sure that is, and whether it is usable.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it lies in, and its path below
-- size: bytes on disk
-- modified_at: when it was written, UTC
-- presence: present, missing (gone) or left out (there, and no ingest looks at it any more)
-- format, status: how it is stored, and whether it could be read
-- framework, framework_version: what wrote it
-- epoch, global_step: as it states them
-- monitor: the metric that decided which files to keep
-- best_score, own_score: of that metric: best of its run so far, and its own
-- verdict: linked, ambiguous (several runs fit equally well) or unlinked
-- decided_by: evidence, or person where the run was pinned with `catalog link`
-- candidates: runs that something speaks for
-- tracker: of the run: wandb, hydra, lightning, ...
-- run, run_directory: the run that wrote it (only where the verdict is linked)
-- entity, project, display_name: the run's, as its tracker has them
-- score: log-odds of the link, the sum of its evidence
-- job_directory: the Hydra output folder that it lies in
-- run_state, run_started_at: how the run ended, and when it started, UTC
-- git_commit: the code that ran
-- config_kind, config_source: the document and the file that state the run's config
-- config_source_state: of that file: present, gone or left out
-- state, reason: see checkpoint_state, and why it is not usable
-- doubt: what speaks against the config that inference finds, a sentence
-- weights_fingerprint: equal for equal weights
-- parameter_count: numbers in the model
-- safety: plain, unknown or dangerous: whether loading its pickle would run foreign code
-- loads_by_default: yes, no or unknown: whether `torch.load(file)` takes it as it is; empty for what
--   torch does not load
SELECT c.id AS checkpoint_id,
       r.path AS root,
       f.path AS path,
       f.size AS size,
       f.modified_at AS modified_at,
       CASE WHEN f.state = 'missing' AND f.missing_ingest_id IS NULL THEN 'left out'
            ELSE f.state END AS presence,
       c.format AS format,
       c.status AS status,
       c.framework AS framework,
       c.framework_version AS framework_version,
       c.epoch AS epoch,
       c.global_step AS global_step,
       c.monitor AS monitor,
       c.best_score AS best_score,
       c.own_score AS own_score,
       CASE WHEN l.id IS NOT NULL THEN 'linked'
            WHEN EXISTS (SELECT 1 FROM link a
                         WHERE a.checkpoint_id = c.id AND a.verdict = 'ambiguous') THEN 'ambiguous'
            ELSE 'unlinked' END AS verdict,
       l.decided_by AS decided_by,
       (SELECT COUNT(*) FROM link a
        WHERE a.checkpoint_id = c.id AND a.verdict <> 'rejected') AS candidates,
       u.tracker AS tracker,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       u.entity AS entity,
       u.project AS project,
       u.display_name AS display_name,
       d.path AS run_directory,
       l.score AS score,
       (SELECT job.path FROM checkpoint_directory cd
        JOIN run_directory job ON job.id = cd.run_directory_id
        WHERE cd.checkpoint_id = c.id AND cd.tracker = 'hydra') AS job_directory,
       u.state AS run_state,
       u.started_at AS run_started_at,
       u.git_commit AS git_commit,
       k.kind AS config_kind,
       kf.path AS config_source,
       CASE WHEN kf.state = 'present' THEN 'present'
            WHEN kf.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN kf.id IS NOT NULL THEN 'left out' END AS config_source_state,
       m.state AS state,
       m.reason AS reason,
       m.doubt AS doubt,
       c.weights_fingerprint AS weights_fingerprint,
       c.parameter_count AS parameter_count,
       c.safety AS safety,
       c.loads_by_default AS loads_by_default
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
LEFT JOIN link l ON l.checkpoint_id = c.id AND l.verdict = 'linked'
LEFT JOIN run u ON u.id = l.run_id
LEFT JOIN run_directory d ON d.id = l.run_directory_id
LEFT JOIN run_config k ON k.id = (
    SELECT o.id FROM run_config o
    WHERE o.run_directory_id = l.run_directory_id AND o.kind <> 'hydra-overrides'
    ORDER BY o.rank, o.id LIMIT 1
)
LEFT JOIN file kf ON kf.id = k.file_id
LEFT JOIN migration m ON m.checkpoint_id = c.id
