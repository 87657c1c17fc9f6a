-- Every metric of every run: its summary value as the files state it, and what its history holds.
--
-- The history of a run that went on in several folders is that of all its lives, without what a
-- later life replaced (see `metric_life`); what other tools' folders tell has rows of its own.
--
-- run, display_name: the run's id at its tracker, and the name that people gave it
-- tracker: what wrote the folder
-- run_directory: the folder that tells it; of several lives the last one that tells it
-- metric: name of the metric
-- summary: the tracker's summary value (NULL if none, or not finite: see special)
-- special: `nan`, `inf` or `-inf` where the summary is that
-- final: last finite value of the recorded history, which is not the last where last_special is set
-- last_special: `nan`, `inf` or `-inf` where the history ends with that
-- special_from: step since which no value was finite
-- points, finite: values in the recorded history, and how many of them are finite
-- first_step, last_step: of the history
-- lowest, highest: of its finite values
-- best: lowest or highest, where the tracker was told which is better
-- step_metric: the metric on its x-axis, where that is not the step
-- source: the file that the summary was read from, or else the history
-- gap: why the history, and a summary made of it, may not be whole: the file's open problem
SELECT COALESCE(u.tracker_run_id, u.identity) AS run,
       u.display_name AS display_name,
       d.tracker AS tracker,
       d.path AS run_directory,
       n.name AS metric,
       s.value AS summary,
       s.special AS special,
       (SELECT x.final FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader AND x.final IS NOT NULL
        ORDER BY x.life DESC, x.file DESC, x.series_id DESC LIMIT 1) AS final,
       CASE WHEN c.series_id IS NULL THEN l.special ELSE c.special END AS last_special,
       CASE WHEN COALESCE(c.special, l.special) IS NOT NULL THEN COALESCE((
           SELECT MIN(x.special_from) FROM metric_life x
           WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
             AND x.life IS NOT NULL AND d.life IS NOT NULL AND x.reader = lf.reader
             AND NOT EXISTS (SELECT 1 FROM metric_life y
                             WHERE y.run_number = d.run_id AND y.metric_name_id = k.metric_name_id
                               AND y.reader = lf.reader AND y.life > x.life AND y.finite > 0)
       ), CASE WHEN c.series_id IS NULL THEN l.special_from ELSE c.special_from END) END
           AS special_from,
       (SELECT SUM(x.points) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS points,
       (SELECT SUM(x.finite) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS finite,
       (SELECT MIN(x.first_step) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS first_step,
       (SELECT MAX(x.last_step) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS last_step,
       (SELECT MIN(x.lowest) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS lowest,
       (SELECT MAX(x.highest) FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS highest,
       (SELECT CASE f.goal WHEN 'min' THEN MIN(x.lowest) WHEN 'max' THEN MAX(x.highest) END FROM metric_life x
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND x.reader = lf.reader) AS best,
       f.step_metric AS step_metric,
       COALESCE(sf.path, lf.path) AS source,
       (SELECT MIN(p.message) FROM metric_life x
        JOIN problem p ON p.file_id = x.file_id AND p.resolved_ingest_id IS NULL
        WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
          AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
          AND p.code IN ({GAPS})) AS gap
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
    SELECT x.series_id FROM metric_life x
    WHERE x.run_number = d.run_id AND x.metric_name_id = k.metric_name_id
      AND (x.run_directory_id = d.id OR (x.life IS NOT NULL AND d.life IS NOT NULL))
      AND COALESCE(x.points, 1) > 0
    ORDER BY SUM(x.points) OVER (PARTITION BY x.reader) DESC, x.reader, x.life DESC,
             x.file DESC, x.series_id DESC
    LIMIT 1
)
LEFT JOIN metric_cut c ON c.series_id = l.id
LEFT JOIN file lf ON lf.id = l.file_id
LEFT JOIN metric_definition f ON f.id = (
    SELECT MIN(o.id) FROM metric_definition o
    WHERE o.run_directory_id = k.run_directory_id AND o.metric_name_id = k.metric_name_id
)
WHERE d.id = k.run_directory_id
  -- Of several lives the last one that tells the metric, unless a later one replaced it.
  AND (d.life IS NULL
       OR (NOT EXISTS (SELECT 1 FROM run_directory o
                       WHERE o.run_id = d.run_id AND o.life > d.life
                         AND (EXISTS (SELECT 1 FROM metric_summary a
                                      WHERE a.run_directory_id = o.id
                                        AND a.metric_name_id = k.metric_name_id)
                              OR EXISTS (SELECT 1 FROM metric_series a
                                         WHERE a.run_directory_id = o.id
                                           AND a.metric_name_id = k.metric_name_id)))
           AND (l.id IS NOT NULL
                OR NOT EXISTS (SELECT 1 FROM metric_series a
                               WHERE a.run_directory_id = d.id
                                 AND a.metric_name_id = k.metric_name_id))))
