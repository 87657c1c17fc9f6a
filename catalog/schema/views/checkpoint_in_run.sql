-- Every checkpoint that lies in a run's folder, or is one: where it lies, not who wrote it.
-- Of MLflow's runs in a database: in a folder that bears the run's id.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it lies in, and its path below
-- tracker: what made the folder: wandb, hydra, lightning, mlflow, ...
-- run: the run that the folder tells of, whatever its tracker (as in run_overview)
-- run_directory: the folder, path below its root
SELECT f.id AS checkpoint_id,
       r.path AS root,
       f.path AS path,
       d.tracker AS tracker,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       d.path AS run_directory
FROM checkpoint_directory cd
JOIN file f ON f.id = cd.checkpoint_id
JOIN root r ON r.id = f.root_id
JOIN run_directory d ON d.id = cd.run_directory_id
JOIN run u ON u.id = d.run_id
UNION ALL
-- A Trainer's `checkpoint-N` holds what tells of its run.
SELECT f.id, r.path, f.path, d.tracker, COALESCE(u.tracker_run_id, u.identity), d.path
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
JOIN run_directory d ON d.root_id = f.root_id AND d.path = f.path
JOIN run u ON u.id = d.run_id
