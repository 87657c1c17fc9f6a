-- The history of one metric of one run, a row a point: of all its lives, in their order.
-- :param run: its id, display name or run directory
-- :param metric: name of the metric
SELECT a.step, p.value, p.special, a.time, d.path AS run_directory
FROM metric_name n
JOIN metric_series e ON e.metric_name_id = n.id
JOIN run_directory d ON d.id = e.run_directory_id
JOIN run u ON u.id = d.run_id
JOIN metric_point p ON p.series_id = COALESCE(e.points_of, e.id) AND p.position < e.point_count
LEFT JOIN metric_axis_point a ON a.axis_id = e.axis_id AND a.position = p.position
JOIN file f ON f.id = e.file_id
LEFT JOIN metric_cut c ON c.series_id = e.id
WHERE n.name = CAST(:metric AS TEXT)
  AND (u.tracker_run_id = CAST(:run AS TEXT) OR u.identity = CAST(:run AS TEXT)
       OR u.display_name = CAST(:run AS TEXT) OR d.path = CAST(:run AS TEXT))
  -- What several files repeat is told once, unless the folder of one of them is asked for.
  AND (e.points_of IS NULL OR d.path = CAST(:run AS TEXT))
  -- A later life of the run replaced the rest; asked for by its folder, a life tells all it logged.
  AND (c.replaced_from IS NULL OR a.step IS NULL OR a.step < c.replaced_from
       OR d.path = CAST(:run AS TEXT))
ORDER BY CASE WHEN d.life IS NULL THEN 1 ELSE 0 END, d.life, d.path,
         f.path, e.id, p.position
