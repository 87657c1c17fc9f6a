-- What counts of each series: all of it, or what no later life of its run replaced.
--
-- The history of a metric of a run is that of all its lives, in the order of `life`.
--
-- series_id: number of the series
-- points_id: the series whose first points are its points
-- run_number: number of the run
-- run_directory_id: the folder that tells it
-- life: which of the run's lives that folder is; NULL for a folder that is not one of several
-- metric_name_id: number of the metric's name
-- axis_id: its steps and times
-- file_id, file, reader: the file that tells it, its path, and what reads such files
-- in_file: points in the file
-- replaced_from: step from which on a later life replaced it; NULL where none did
-- points: how many count
-- finite: how many of these are finite
-- first_step, last_step: of these
-- lowest, highest: of their finite values
-- final: last finite value
-- last_special: `nan`, `inf` or `-inf` where the very last of them is that
-- special_from: step since which none was finite
SELECT e.id AS series_id,
       COALESCE(e.points_of, e.id) AS points_id,
       d.run_id AS run_number,
       e.run_directory_id AS run_directory_id,
       d.life AS life,
       e.metric_name_id AS metric_name_id,
       e.axis_id AS axis_id,
       e.file_id AS file_id,
       f.path AS file,
       f.reader AS reader,
       e.point_count AS in_file,
       c.replaced_from AS replaced_from,
       CASE WHEN c.series_id IS NULL THEN e.point_count ELSE c.point_count END AS points,
       CASE WHEN c.series_id IS NULL THEN e.finite_count ELSE c.finite_count END AS finite,
       CASE WHEN c.series_id IS NULL THEN e.first_step ELSE c.first_step END AS first_step,
       CASE WHEN c.series_id IS NULL THEN e.last_step ELSE c.last_step END AS last_step,
       CASE WHEN c.series_id IS NULL THEN e.lowest ELSE c.lowest END AS lowest,
       CASE WHEN c.series_id IS NULL THEN e.highest ELSE c.highest END AS highest,
       CASE WHEN c.series_id IS NULL THEN e.final ELSE c.final END AS final,
       CASE WHEN c.series_id IS NULL THEN e.special ELSE c.special END AS last_special,
       CASE WHEN c.series_id IS NULL THEN e.special_from ELSE c.special_from END AS special_from
FROM run_directory d
CROSS JOIN metric_series e  -- in this order on SQLite: the series of these folders only
JOIN file f ON f.id = e.file_id
LEFT JOIN metric_cut c ON c.series_id = e.id
WHERE e.run_directory_id = d.id
  -- What a later life repeats is told there.
  AND (d.life IS NULL OR e.points_of IS NULL)
