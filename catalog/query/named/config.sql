-- Values of configs under their dotted keys, with the file that states each.
-- :param run (optional): only configs of that run id
-- :param key (optional): only that key, e.g. model.encoder.name
-- :param file (optional): a part of the path of the file that states it
SELECT 'run' AS owner, COALESCE(u.tracker_run_id, u.identity, d.tracker_run_id, d.path) AS run, c.kind, v.key,
       v.type, v.text, v.number, f.path AS file,
       CASE WHEN f.state = 'present' THEN 'present'
            WHEN f.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN f.id IS NOT NULL THEN 'left out' END AS file_state, r.host, r.path AS root
FROM root r
CROSS JOIN file f
CROSS JOIN run_config c
JOIN run_directory d ON d.id = c.run_directory_id
LEFT JOIN run u ON u.id = d.run_id
JOIN config_value v ON v.config_id = c.config_id
WHERE f.root_id = r.id AND c.file_id = f.id
  AND (CAST(:run AS TEXT) IS NULL
       OR COALESCE(u.tracker_run_id, u.identity, d.tracker_run_id, d.path) = CAST(:run AS TEXT))
  AND (CAST(:key AS TEXT) IS NULL OR v.key = CAST(:key AS TEXT))
  AND (CAST(:file AS TEXT) IS NULL OR REPLACE(f.path, CAST(:file AS TEXT), '') <> f.path)
UNION ALL
SELECT 'checkpoint', NULL, 'hyper-parameters', v.key, v.type, v.text, v.number, f.path,
       CASE WHEN f.state = 'present' THEN 'present'
            WHEN f.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN f.id IS NOT NULL THEN 'left out' END, r.host, r.path
FROM root r
CROSS JOIN file f
CROSS JOIN checkpoint c
JOIN config_value v ON v.config_id = c.config_id
WHERE EXISTS (SELECT 1 FROM checkpoint WHERE config_id IS NOT NULL)
  AND f.root_id = r.id AND c.id = f.id AND CAST(:run AS TEXT) IS NULL
  AND (CAST(:key AS TEXT) IS NULL OR v.key = CAST(:key AS TEXT))
  AND (CAST(:file AS TEXT) IS NULL OR REPLACE(f.path, CAST(:file AS TEXT), '') <> f.path)
UNION ALL
SELECT 'checkpoint', NULL, 'statements', v.key, v.type, v.text, v.number, f.path,
       CASE WHEN f.state = 'present' THEN 'present'
            WHEN f.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN f.id IS NOT NULL THEN 'left out' END, r.host, r.path
FROM root r
CROSS JOIN file f
CROSS JOIN checkpoint c
JOIN config_value v ON v.config_id = c.statements_id
WHERE EXISTS (SELECT 1 FROM checkpoint WHERE statements_id IS NOT NULL)
  AND f.root_id = r.id AND c.id = f.id AND CAST(:run AS TEXT) IS NULL
  AND (CAST(:key AS TEXT) IS NULL OR v.key = CAST(:key AS TEXT))
  AND (CAST(:file AS TEXT) IS NULL OR REPLACE(f.path, CAST(:file AS TEXT), '') <> f.path)
UNION ALL
SELECT 'sidecar', NULL, s.kind, v.key, v.type, v.text, v.number, f.path,
       CASE WHEN f.state = 'present' THEN 'present'
            WHEN f.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN f.id IS NOT NULL THEN 'left out' END, r.host, r.path
FROM root r
CROSS JOIN file f
CROSS JOIN sidecar s
JOIN config_value v ON v.config_id = s.config_id
WHERE EXISTS (SELECT 1 FROM sidecar)
  AND f.root_id = r.id AND s.id = f.id AND CAST(:run AS TEXT) IS NULL
  AND (CAST(:key AS TEXT) IS NULL OR v.key = CAST(:key AS TEXT))
  AND (CAST(:file AS TEXT) IS NULL OR REPLACE(f.path, CAST(:file AS TEXT), '') <> f.path)
ORDER BY host, root, file, owner, kind, key
