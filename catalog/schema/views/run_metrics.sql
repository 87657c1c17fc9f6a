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
       (SELECT SUM(e.point_count) FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS points,
       (SELECT MIN(e.first_step) FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS first_step,
       (SELECT MAX(e.last_step) FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS last_step,
       (SELECT MIN(e.lowest) FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS lowest,
       (SELECT MAX(e.highest) FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS highest,
       (SELECT CASE f.goal WHEN 'min' THEN MIN(e.lowest) WHEN 'max' THEN MAX(e.highest) END
        FROM metric_series e JOIN file ef ON ef.id = e.file_id
        WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
          AND ef.reader = lf.reader) AS best,
       f.step_metric AS step_metric,
       COALESCE(sf.path, (
           SELECT ef.path FROM metric_series e JOIN file ef ON ef.id = e.file_id
           WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
             AND ef.reader = lf.reader
           ORDER BY e.file_id LIMIT 1)) AS source
FROM (
    -- Each metric of each folder once: by its first summary, or else by its first series.
    SELECT s.run_directory_id, s.metric_name_id, s.id AS summary_id
    FROM metric_summary s
    WHERE NOT EXISTS (SELECT 1 FROM metric_summary o
                      WHERE o.run_directory_id = s.run_directory_id
                        AND o.metric_name_id = s.metric_name_id AND o.id < s.id)
    UNION ALL
    SELECT e.run_directory_id, e.metric_name_id, NULL
    FROM metric_series e
    WHERE NOT EXISTS (SELECT 1 FROM metric_summary o
                      WHERE o.run_directory_id = e.run_directory_id
                        AND o.metric_name_id = e.metric_name_id)
      AND NOT EXISTS (SELECT 1 FROM metric_series o
                      WHERE o.run_directory_id = e.run_directory_id
                        AND o.metric_name_id = e.metric_name_id AND o.id < e.id)
) k
CROSS JOIN run_directory d
JOIN run u ON u.id = d.run_id
JOIN metric_name n ON n.id = k.metric_name_id
LEFT JOIN metric_summary s ON s.id = k.summary_id
LEFT JOIN file sf ON sf.id = s.file_id
-- Of two kinds of files that tell one history, such as metrics.csv and event files, the one
-- with more points; files of one kind go on where the one before ended.
LEFT JOIN metric_series l ON l.id = (
    SELECT MAX(e.id) FROM metric_series e JOIN file ef ON ef.id = e.file_id
    WHERE e.run_directory_id = k.run_directory_id AND e.metric_name_id = k.metric_name_id
    GROUP BY ef.reader ORDER BY SUM(e.point_count) DESC, ef.reader LIMIT 1
)
LEFT JOIN file lf ON lf.id = l.file_id
LEFT JOIN metric_definition f ON f.id = (
    SELECT MIN(o.id) FROM metric_definition o
    WHERE o.run_directory_id = k.run_directory_id AND o.metric_name_id = k.metric_name_id
)
WHERE d.id = k.run_directory_id
