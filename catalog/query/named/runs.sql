-- Every run: how it ended, when it started, and how many checkpoints are linked to it.
-- :param project (optional): only runs of that project
-- :param state (optional): finished, failed, interrupted, running or unknown
-- :param tracker (optional): only runs of that tracker, e.g. wandb
SELECT run, display_name, tracker, project, state, started_at, ended_at, git_commit, checkpoints,
       directories, joined_directories, first_directory
FROM run_overview
WHERE (CAST(:project AS TEXT) IS NULL OR project = CAST(:project AS TEXT))
  AND (CAST(:state AS TEXT) IS NULL OR state = CAST(:state AS TEXT))
  AND (CAST(:tracker AS TEXT) IS NULL OR tracker = CAST(:tracker AS TEXT))
ORDER BY started_at, run
