-- Every metric of every run: its summary value as the files state it, and what its history holds.
--
-- run, display_name: the run's id at its tracker, and the name that people gave it
-- tracker: what wrote the folder
-- run_directory: the folder that tells it
-- metric: name of the metric
-- summary: the tracker's summary value (NULL if none, or not finite: see special)
-- special: `nan`, `inf` or `-inf`
-- final: last finite value of the recorded history
-- points: values in the recorded history
-- first_step, last_step: of the history
-- lowest, highest: of its finite values
-- best: lowest or highest, where the tracker was told which is better
-- step_metric: the metric on its x-axis, where that is not the step
-- source: the file that the summary was read from, or else the history
SELECT COALESCE(u.tracker_run_id, u.identity) AS run,
       u.display_name AS display_name,
       d.tracker AS tracker,
       d.path AS run_directory,
       n.name AS metric,
       s.value AS summary,
       s.special AS special,
       l.final AS final,
       h.points AS points,
       h.first_step AS first_step,
       h.last_step AS last_step,
       h.lowest AS lowest,
       h.highest AS highest,
       CASE f.goal WHEN 'min' THEN h.lowest WHEN 'max' THEN h.highest END AS best,
       f.step_metric AS step_metric,
       COALESCE(sf.path, hf.path) AS source
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
LEFT JOIN file sf ON sf.id = s.file_id
LEFT JOIN (
    -- Of two kinds of files that tell one history, such as metrics.csv and event files, the one
    -- with more points; files of one kind go on where the one before ended.
    SELECT run_directory_id, metric_name_id, points, first_step, last_step, lowest, highest,
           last_series, file_id,
           ROW_NUMBER() OVER (PARTITION BY run_directory_id, metric_name_id
                              ORDER BY points DESC, reader) AS place
    FROM (
        SELECT e.run_directory_id, e.metric_name_id, ef.reader AS reader,
               SUM(e.point_count) AS points,
               MIN(e.first_step) AS first_step,
               MAX(e.last_step) AS last_step,
               MIN(e.lowest) AS lowest,
               MAX(e.highest) AS highest,
               MAX(e.id) AS last_series,
               MIN(e.file_id) AS file_id
        FROM metric_series e
        JOIN file ef ON ef.id = e.file_id
        GROUP BY e.run_directory_id, e.metric_name_id, ef.reader
    ) told
) h ON h.run_directory_id = k.run_directory_id AND h.metric_name_id = k.metric_name_id
   AND h.place = 1
LEFT JOIN metric_series l ON l.id = h.last_series
LEFT JOIN file hf ON hf.id = h.file_id
LEFT JOIN metric_definition f ON f.id = (
    SELECT MIN(o.id) FROM metric_definition o
    WHERE o.run_directory_id = k.run_directory_id AND o.metric_name_id = k.metric_name_id
)
