-- The history of one metric of one run, a row a point.
-- :param run: its id, display name or run directory
-- :param metric: name of the metric
SELECT a.step, p.value, p.special, a.time, d.path AS run_directory
FROM metric_name n
JOIN metric_series s ON s.metric_name_id = n.id
JOIN run_directory d ON d.id = s.run_directory_id
JOIN run u ON u.id = d.run_id
JOIN metric_point p ON p.series_id = COALESCE(s.points_of, s.id) AND p.position < s.point_count
LEFT JOIN metric_axis_point a ON a.axis_id = s.axis_id AND a.position = p.position
WHERE n.name = CAST(:metric AS TEXT)
  AND (u.tracker_run_id = CAST(:run AS TEXT) OR u.identity = CAST(:run AS TEXT)
       OR u.display_name = CAST(:run AS TEXT) OR d.path = CAST(:run AS TEXT))
  -- What several files repeat is told once, unless the folder of one of them is asked for.
  AND (s.points_of IS NULL OR d.path = CAST(:run AS TEXT))
ORDER BY d.path, s.id, p.position
