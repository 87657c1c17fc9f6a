-- Every run, with how many folders tell of it and how many checkpoints are linked to it.
--
-- run_number: number of the run
-- run: the tracker's id (or, for a run without one, its tracker and its folder)
-- tracker: wandb, hydra, lightning, ...
-- entity, project: where its tracker keeps it
-- display_name: the name that people gave it
-- group_name, job_type, sweep_id: what it belongs to
-- tags: a JSON list
-- notes: the words that people wrote about it
-- state: finished, failed, interrupted, running or unknown
-- state_basis: the fact that its state rests on
-- started_at, ended_at: UTC
-- started_zone: offset of the machine's local time, e.g. `+09:00`
-- started_basis: whether that zone was stated, inferred or assumed
-- ended_basis: the fact that its end rests on
-- host, program, arguments: the machine, and what ran there
-- git_remote, git_commit: the code that ran
-- python_version, tracker_version, packages: what it ran on (packages: a JSON object)
-- directories, first_directory: how many folders tell of it, and the first of its own tracker's,
--   a copy of W&B's latest run only where there is no other
-- joined_directories: how many of them were written by other tools and joined by evidence
-- checkpoints: how many are linked to it
SELECT u.id AS run_number,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       u.tracker AS tracker,
       u.entity AS entity,
       u.project AS project,
       u.display_name AS display_name,
       u.group_name AS group_name,
       u.job_type AS job_type,
       u.sweep_id AS sweep_id,
       u.tags AS tags,
       u.notes AS notes,
       u.state AS state,
       u.state_basis AS state_basis,
       u.started_at AS started_at,
       u.started_zone AS started_zone,
       u.started_basis AS started_basis,
       u.ended_at AS ended_at,
       u.ended_basis AS ended_basis,
       u.host AS host,
       u.program AS program,
       u.arguments AS arguments,
       u.git_remote AS git_remote,
       u.git_commit AS git_commit,
       u.python_version AS python_version,
       u.tracker_version AS tracker_version,
       u.packages AS packages,
       (SELECT COUNT(*) FROM run_directory d WHERE d.run_id = u.id) AS directories,
       (SELECT d.path FROM run_directory d
        WHERE d.run_id = u.id AND d.joined_by IS NULL
        ORDER BY CASE WHEN d.copy_of_latest THEN 1 ELSE 0 END, d.path LIMIT 1) AS first_directory,
       (SELECT COUNT(*) FROM run_directory d
        WHERE d.run_id = u.id AND d.joined_by IS NOT NULL) AS joined_directories,
       (SELECT COUNT(*) FROM link l WHERE l.run_id = u.id AND l.verdict = 'linked') AS checkpoints
FROM run u
