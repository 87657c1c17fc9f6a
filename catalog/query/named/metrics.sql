-- The metrics of one run: summaries, and what their histories hold.
-- :param run: its id, display name or run directory
-- :param metric (optional): only that metric
WITH folder AS (
    SELECT d.id, d.path, d.life, u.id AS run_number, COALESCE(u.tracker_run_id, u.identity) AS run,
           CASE WHEN d.life IS NULL THEN d.id ELSE 0 END AS own  -- 0: the lives of the run together
    FROM run u
    JOIN run_directory d ON d.run_id = u.id
    WHERE u.id IN (
        SELECT o.id FROM run o
        WHERE o.tracker_run_id = CAST(:run AS TEXT) OR o.identity = CAST(:run AS TEXT)
           OR o.display_name = CAST(:run AS TEXT)
    )
    UNION
    SELECT d.id, d.path, d.life, u.id, COALESCE(u.tracker_run_id, u.identity),
           CASE WHEN d.life IS NULL THEN d.id ELSE 0 END
    FROM run_directory d
    JOIN run u ON u.id = d.run_id
    WHERE u.id IN (SELECT o.run_id FROM run_directory o WHERE o.path = CAST(:run AS TEXT))
      AND (d.path = CAST(:run AS TEXT)
           OR (d.life IS NOT NULL
               AND EXISTS (SELECT 1 FROM run_directory o
                           WHERE o.path = CAST(:run AS TEXT) AND o.run_id = d.run_id
                             AND o.life IS NOT NULL)))
),
counted AS (
    SELECT folder.own, x.*
    FROM folder
    CROSS JOIN metric_life x  -- in this order on SQLite: the series of these folders only
    WHERE x.run_directory_id = folder.id
),
told AS (
    SELECT c.run_number, c.own, c.metric_name_id, c.reader,
           SUM(c.points) AS points, SUM(c.finite) AS finite, MIN(c.first_step) AS first_step,
           MAX(c.last_step) AS last_step, MIN(c.lowest) AS lowest, MAX(c.highest) AS highest
    FROM counted c
    GROUP BY c.run_number, c.own, c.metric_name_id, c.reader
),
history AS (
    SELECT t.*, ROW_NUMBER() OVER (PARTITION BY t.run_number, t.own, t.metric_name_id
                                   ORDER BY t.points DESC, t.reader) AS place
    FROM told t
),
ending AS (
    SELECT c.run_number, c.own, c.metric_name_id, c.reader, c.final, c.last_special,
           c.special_from, c.file_id,
           ROW_NUMBER() OVER (PARTITION BY c.run_number, c.own, c.metric_name_id, c.reader
                              ORDER BY c.life DESC, c.file DESC, c.series_id DESC) AS place
    FROM counted c
    WHERE COALESCE(c.points, 1) > 0
),
named AS (
    SELECT folder.id, s.metric_name_id
    FROM folder JOIN metric_summary s ON s.run_directory_id = folder.id
    UNION
    SELECT folder.id, e.metric_name_id
    FROM folder CROSS JOIN metric_series e WHERE e.run_directory_id = folder.id
),
k AS (
    -- Of several lives the last one that tells a metric.
    SELECT folder.*, named.metric_name_id,
           ROW_NUMBER() OVER (PARTITION BY folder.run_number, folder.own, named.metric_name_id
                              ORDER BY folder.life DESC, folder.id) AS place
    FROM folder JOIN named ON named.id = folder.id
)
SELECT k.run, n.name AS metric, s.value AS summary, s.special,
       COALESCE(l.final, (SELECT z.final FROM ending z
                          WHERE z.run_number = k.run_number AND z.own = k.own
                            AND z.metric_name_id = k.metric_name_id AND z.reader = h.reader
                            AND z.final IS NOT NULL ORDER BY z.place LIMIT 1)) AS final,
       l.last_special,
       CASE WHEN l.last_special IS NOT NULL THEN (
           SELECT MIN(z.special_from) FROM ending z
           WHERE z.run_number = k.run_number AND z.own = k.own
             AND z.metric_name_id = k.metric_name_id AND z.reader = h.reader
             AND z.place <= COALESCE((SELECT MIN(y.place) FROM ending y
                                      WHERE y.run_number = k.run_number AND y.own = k.own
                                        AND y.metric_name_id = k.metric_name_id
                                        AND y.reader = h.reader AND y.final IS NOT NULL), z.place)
       ) END AS special_from,
       CASE f.goal WHEN 'min' THEN h.lowest WHEN 'max' THEN h.highest END AS best,
       h.lowest, h.highest, h.points, h.finite, h.first_step, h.last_step, f.step_metric,
       k.path AS run_directory, COALESCE(sf.path, hf.path) AS source,
       CASE WHEN COALESCE(sf.state, hf.state) = 'present' THEN 'present'
            WHEN COALESCE(sf.missing_ingest_id, CASE WHEN sf.id IS NULL THEN hf.missing_ingest_id END)
                 IS NOT NULL THEN 'gone'
            ELSE 'left out' END AS source_state,
       (SELECT MIN(p.message) FROM counted c
        JOIN problem p ON p.file_id = c.file_id AND p.resolved_ingest_id IS NULL
        WHERE c.run_number = k.run_number AND c.own = k.own
          AND c.metric_name_id = k.metric_name_id
          AND p.code IN ({GAPS})) AS gap
FROM k
JOIN metric_name n ON n.id = k.metric_name_id
LEFT JOIN metric_summary s ON s.id = (
    SELECT MIN(o.id) FROM metric_summary o
    WHERE o.run_directory_id = k.id AND o.metric_name_id = k.metric_name_id
)
LEFT JOIN file sf ON sf.id = s.file_id
LEFT JOIN history h ON h.run_number = k.run_number AND h.own = k.own
    AND h.metric_name_id = k.metric_name_id AND h.place = 1
LEFT JOIN ending l ON l.run_number = k.run_number AND l.own = k.own
    AND l.metric_name_id = k.metric_name_id AND l.reader = h.reader AND l.place = 1
LEFT JOIN file hf ON hf.id = l.file_id
LEFT JOIN metric_definition f ON f.id = (
    SELECT MIN(o.id) FROM metric_definition o
    WHERE o.run_directory_id = k.id AND o.metric_name_id = k.metric_name_id
)
WHERE k.place = 1 AND (CAST(:metric AS TEXT) IS NULL OR n.name = CAST(:metric AS TEXT))
  -- What a later life replaced whole is no metric of the run any more.
  AND (k.life IS NULL OR l.place IS NOT NULL OR h.place IS NULL)
ORDER BY k.run, run_directory, metric
