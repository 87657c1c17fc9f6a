-- Checkpoints whose only config lies where it may be deleted, or has been already.
-- `wandb sync --clean` removes run folders that were uploaded; write the
-- configs of such checkpoints beside them with `catalog recover` before. So are those of which no
-- config is known and whose own run folder, as they name it, lies outside the ingested trees.
SELECT f.path,
       (SELECT COALESCE(u.tracker_run_id, u.identity)
        FROM link l JOIN run u ON u.id = l.run_id
        WHERE l.checkpoint_id = f.id AND l.verdict = 'linked') AS run,
       COALESCE(MIN(CASE WHEN g.state = 'present' THEN g.path END), MIN(g.path), MIN(k.directory))
           AS config_file,
       COUNT(DISTINCT g.id) AS files,
       CASE WHEN COUNT(g.id) = 0
            THEN 'No config of it is known; its run folder lies outside the ingested trees.'
            WHEN MAX(g.state) = 'missing'  -- of text: missing < present
             AND COUNT(CASE WHEN g.missing_ingest_id IS NULL THEN 1 END) > 0
            THEN 'Every file that stated its config is gone, or left out of ingests now.'
            WHEN MAX(g.state) = 'missing'
            THEN 'Every file that stated its config is gone; the catalog alone still has it.'
            ELSE 'Its config lies in a W&B run folder only, which W&B''s cleaning removes.'
       END AS risk,
       r.path AS root
FROM root r
CROSS JOIN file f
CROSS JOIN checkpoint k
LEFT JOIN run_config c ON c.kind <> 'hydra-overrides'
  -- The folders of its run, and the job folder that it lies in.
  AND c.run_directory_id IN (
      SELECT o.id FROM link l JOIN run_directory o ON o.run_id = l.run_id
      WHERE l.checkpoint_id = f.id AND l.verdict = 'linked'
      UNION ALL
      SELECT p.run_directory_id FROM checkpoint_directory p WHERE p.checkpoint_id = f.id
  )
LEFT JOIN run_directory d ON d.id = c.run_directory_id
LEFT JOIN file g ON g.id = c.file_id
WHERE f.root_id = r.id AND k.id = f.id AND f.state = 'present' AND k.config_id IS NULL
  AND k.status <> 'foreign'
  AND NOT EXISTS (SELECT 1 FROM migration m JOIN file b ON b.id = m.config_file_id
                  WHERE m.checkpoint_id = f.id AND b.state = 'present')
  AND (c.id IS NOT NULL
       -- Folders that W&B, Lightning and Hydra make, and that no root nor what was moved covers.
       OR ((k.directory LIKE '%/wandb/%run-%' OR k.directory LIKE '%/lightning_logs/version%'
            OR k.directory LIKE '%/outputs/____-__-__/__-__-__%'
            OR k.directory LIKE '%/multirun/____-__-__/__-__-__%')
           AND k.directory || '/' NOT LIKE '%/' || rtrim(f.path, replace(f.path, '/', ''))
           AND NOT EXISTS (SELECT 1 FROM root o WHERE o.host = r.host
                           AND substr(k.directory || '/', 1, length(o.path) + 1) = o.path || '/')
           AND NOT EXISTS (SELECT 1 FROM run_directory e
                           WHERE e.path <> '.' AND k.directory || '/' LIKE '%/' || e.path || '/%')))
GROUP BY r.host, r.path, f.path, f.id
HAVING SUM(CASE WHEN d.tracker <> 'wandb' AND g.state = 'present' THEN 1 ELSE 0 END) = 0
ORDER BY r.host, r.path, f.path, f.id
