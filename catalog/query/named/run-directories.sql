-- The folders that tell of each run, and by what evidence other tools' folders were joined to it.
-- :param run (optional): only that run's: its id, display name or one of the folders
SELECT COALESCE(u.tracker_run_id, u.identity) AS run, d.path AS run_directory, d.tracker,
       d.started_at, d.zone, d.zone_basis, d.joined_by, d.join_detail,
       CASE WHEN d.kept_apart THEN 1 ELSE 0 END AS kept_apart,
       (SELECT r.path FROM root r WHERE r.id = d.root_id) AS root
FROM run_directory d
JOIN run u ON u.id = d.run_id
WHERE CAST(:run AS TEXT) IS NULL
   OR u.id IN (SELECT o.id FROM run o LEFT JOIN run_directory p ON p.run_id = o.id
               WHERE o.tracker_run_id = CAST(:run AS TEXT) OR o.identity = CAST(:run AS TEXT)
                  OR o.display_name = CAST(:run AS TEXT) OR p.path = CAST(:run AS TEXT))
ORDER BY run, d.path, root
