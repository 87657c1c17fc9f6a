-- Every run, with how many folders tell of it and how many checkpoints are linked to it.
--
-- run_number: number of the run
-- run: the tracker's id (or, for a job that no tracker knows, its folder)
-- tracker: wandb, hydra, lightning, ...
-- entity, project: where its tracker keeps it
-- display_name: the name that people gave it
-- state: finished, failed, interrupted, running or unknown
-- started_at, ended_at: UTC
-- started_zone: offset of the machine's local time, e.g. `+09:00`
-- started_basis: whether that zone was stated, inferred or assumed
-- host, program, arguments: the machine, and what ran there
-- git_remote, git_commit: the code that ran
-- directories, first_directory: how many folders tell of it, and the first of them
-- checkpoints: how many are linked to it
SELECT u.id AS run_number,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       u.tracker AS tracker,
       u.entity AS entity,
       u.project AS project,
       u.display_name AS display_name,
       u.state AS state,
       u.started_at AS started_at,
       u.started_zone AS started_zone,
       u.started_basis AS started_basis,
       u.ended_at AS ended_at,
       u.host AS host,
       u.program AS program,
       u.arguments AS arguments,
       u.git_remote AS git_remote,
       u.git_commit AS git_commit,
       (SELECT COUNT(*) FROM run_directory d WHERE d.run_id = u.id) AS directories,
       (SELECT MIN(d.path) FROM run_directory d WHERE d.run_id = u.id) AS first_directory,
       (SELECT COUNT(*) FROM link l WHERE l.run_id = u.id AND l.verdict = 'linked') AS checkpoints
FROM run u
