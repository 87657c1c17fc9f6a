-- The metrics of one run: summaries, and what their histories hold.
-- :param run: its id, display name or run directory
-- :param metric (optional): only that metric
WITH folder AS (
    SELECT d.id, d.path, COALESCE(u.tracker_run_id, u.identity) AS run
    FROM run u
    JOIN run_directory d ON d.run_id = u.id
    WHERE u.id IN (
        SELECT o.id FROM run o
        WHERE o.tracker_run_id = CAST(:run AS TEXT) OR o.identity = CAST(:run AS TEXT)
           OR o.display_name = CAST(:run AS TEXT)
    )
    UNION
    SELECT d.id, d.path, COALESCE(u.tracker_run_id, u.identity)
    FROM run_directory d
    JOIN run u ON u.id = d.run_id
    WHERE d.path = CAST(:run AS TEXT)
),
told AS (
    SELECT e.run_directory_id, e.metric_name_id, ef.reader,
           SUM(e.point_count) AS points, MIN(e.first_step) AS first_step,
           MAX(e.last_step) AS last_step, MIN(e.lowest) AS lowest, MAX(e.highest) AS highest,
           MAX(e.id) AS last_series, MIN(e.file_id) AS file_id
    FROM folder
    CROSS JOIN metric_series e  -- in this order on SQLite: the series of these folders only
    JOIN file ef ON ef.id = e.file_id
    WHERE e.run_directory_id = folder.id
    GROUP BY e.run_directory_id, e.metric_name_id, ef.reader
),
history AS (
    SELECT t.*, ROW_NUMBER() OVER (PARTITION BY t.run_directory_id, t.metric_name_id
                                   ORDER BY t.points DESC, t.reader) AS place
    FROM told t
),
k AS (
    SELECT folder.id, folder.path, folder.run, s.metric_name_id
    FROM folder JOIN metric_summary s ON s.run_directory_id = folder.id
    UNION
    SELECT folder.id, folder.path, folder.run, t.metric_name_id
    FROM folder JOIN told t ON t.run_directory_id = folder.id
)
SELECT k.run, n.name AS metric, s.value AS summary, s.special, l.final,
       CASE f.goal WHEN 'min' THEN h.lowest WHEN 'max' THEN h.highest END AS best,
       h.lowest, h.highest, h.points, h.first_step, h.last_step, f.step_metric,
       k.path AS run_directory, COALESCE(sf.path, hf.path) AS source,
       CASE WHEN COALESCE(sf.state, hf.state) = 'present' THEN 'present'
            WHEN COALESCE(sf.missing_ingest_id, CASE WHEN sf.id IS NULL THEN hf.missing_ingest_id END)
                 IS NOT NULL THEN 'gone'
            ELSE 'left out' END AS source_state
FROM k
JOIN metric_name n ON n.id = k.metric_name_id
LEFT JOIN metric_summary s ON s.id = (
    SELECT MIN(o.id) FROM metric_summary o
    WHERE o.run_directory_id = k.id AND o.metric_name_id = k.metric_name_id
)
LEFT JOIN file sf ON sf.id = s.file_id
LEFT JOIN history h ON h.run_directory_id = k.id AND h.metric_name_id = k.metric_name_id
    AND h.place = 1
LEFT JOIN metric_series l ON l.id = h.last_series
LEFT JOIN file hf ON hf.id = h.file_id
LEFT JOIN metric_definition f ON f.id = (
    SELECT MIN(o.id) FROM metric_definition o
    WHERE o.run_directory_id = k.id AND o.metric_name_id = k.metric_name_id
)
WHERE CAST(:metric AS TEXT) IS NULL OR n.name = CAST(:metric AS TEXT)
ORDER BY run, run_directory, metric
