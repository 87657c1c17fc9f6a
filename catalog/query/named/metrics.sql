-- The metrics of one run: summaries, and what their histories hold.
-- :param run: its id, display name or run directory
-- :param metric (optional): only that metric
SELECT run, metric, summary, special, points, first_step, last_step, lowest, highest, run_directory
FROM run_metrics
WHERE (run = CAST(:run AS TEXT) OR display_name = CAST(:run AS TEXT)
       OR run_directory = CAST(:run AS TEXT))
  AND (CAST(:metric AS TEXT) IS NULL OR metric = CAST(:metric AS TEXT))
ORDER BY run, run_directory, metric
