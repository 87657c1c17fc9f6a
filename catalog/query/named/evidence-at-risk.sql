-- Checkpoints whose only config lies where it may be deleted, or has been already.
-- `wandb sync --clean` removes run folders that were uploaded; write the
-- configs of such checkpoints beside them with `catalog recover` before.
WITH stated AS (
    SELECT l.checkpoint_id, f.path AS file, f.state, d.tracker
    FROM link l
    JOIN run_directory d ON d.run_id = l.run_id
    JOIN run_config c ON c.run_directory_id = d.id AND c.kind <> 'hydra-overrides'
    JOIN file f ON f.id = c.file_id
    WHERE l.verdict = 'linked'
    UNION
    SELECT p.checkpoint_id, f.path, f.state, d.tracker
    FROM checkpoint_directory p
    JOIN run_directory d ON d.id = p.run_directory_id
    JOIN run_config c ON c.run_directory_id = d.id AND c.kind <> 'hydra-overrides'
    JOIN file f ON f.id = c.file_id
    UNION
    SELECT m.checkpoint_id, f.path, f.state, 'beside'
    FROM migration m
    JOIN file f ON f.id = m.config_file_id
    UNION
    SELECT k.id, f.path, f.state, 'inside'
    FROM checkpoint k
    JOIN file f ON f.id = k.id
    WHERE k.config_id IS NOT NULL
)
SELECT t.path, t.run, MIN(s.file) AS config_file, COUNT(*) AS files,
       CASE WHEN MIN(s.state) = 'missing' AND MAX(s.state) = 'missing'
            THEN 'Every file that stated its config is gone; the catalog alone still has it.'
            ELSE 'Its config lies in a W&B run folder only, which W&B''s cleaning removes.'
       END AS risk
FROM checkpoint_trace t
JOIN stated s ON s.checkpoint_id = t.checkpoint_id
WHERE t.presence = 'present'
GROUP BY t.checkpoint_id, t.path, t.run
HAVING SUM(CASE WHEN s.tracker = 'wandb' OR s.state = 'missing' THEN 0 ELSE 1 END) = 0
ORDER BY t.path
