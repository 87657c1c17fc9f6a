-- Every metric of every run: its summary value as the files state it, and what its history holds.
--
-- run, display_name: the run's id at its tracker, and the name that people gave it
-- run_directory: the folder that tells it
-- metric: name of the metric
-- summary: the tracker's summary value (NULL if none, or not finite: see special)
-- special: `nan`, `inf` or `-inf`
-- points: values in the recorded history
-- first_step, last_step: of the history
-- lowest, highest: of its finite values
SELECT COALESCE(u.tracker_run_id, u.identity) AS run,
       u.display_name AS display_name,
       d.path AS run_directory,
       n.name AS metric,
       s.value AS summary,
       s.special AS special,
       (SELECT SUM(e.point_count) FROM metric_series e
        WHERE e.run_directory_id = k.run_directory_id
          AND e.metric_name_id = k.metric_name_id) AS points,
       (SELECT MIN(p.step) FROM metric_series e JOIN metric_point p ON p.series_id = e.id
        WHERE e.run_directory_id = k.run_directory_id
          AND e.metric_name_id = k.metric_name_id) AS first_step,
       (SELECT MAX(p.step) FROM metric_series e JOIN metric_point p ON p.series_id = e.id
        WHERE e.run_directory_id = k.run_directory_id
          AND e.metric_name_id = k.metric_name_id) AS last_step,
       (SELECT MIN(p.value) FROM metric_series e JOIN metric_point p ON p.series_id = e.id
        WHERE e.run_directory_id = k.run_directory_id
          AND e.metric_name_id = k.metric_name_id) AS lowest,
       (SELECT MAX(p.value) FROM metric_series e JOIN metric_point p ON p.series_id = e.id
        WHERE e.run_directory_id = k.run_directory_id
          AND e.metric_name_id = k.metric_name_id) AS highest
FROM (
    SELECT run_directory_id, metric_name_id FROM metric_summary
    UNION
    SELECT run_directory_id, metric_name_id FROM metric_series
) k
JOIN run_directory d ON d.id = k.run_directory_id
JOIN run u ON u.id = d.run_id
JOIN metric_name n ON n.id = k.metric_name_id
LEFT JOIN metric_summary s ON s.id = (
    SELECT MIN(o.id) FROM metric_summary o
    WHERE o.run_directory_id = k.run_directory_id AND o.metric_name_id = k.metric_name_id
)
