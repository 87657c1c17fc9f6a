-- Every value of every config that a run, a checkpoint or a sidecar states, under its dotted key.
--
-- owner: `run`, `checkpoint` or `sidecar`
-- run: the run's id, for a run's config
-- file: the file that states it
-- kind: what kind of document that is, e.g. `wandb-stream`; of a checkpoint `hyper-parameters`, or
--   `statements` (what else it says of itself)
-- key: the dotted key, e.g. `model.encoder.name`
-- type: null, bool, int, float, str, list or dict (lists and empty objects are kept whole, as JSON)
-- text: the value as text
-- number: the value as a number, where it is one
SELECT 'run' AS owner,
       COALESCE(u.tracker_run_id, u.identity, d.tracker_run_id, d.path) AS run,
       f.path AS file,
       rc.kind AS kind,
       v.key AS key,
       v.type AS type,
       v.text AS text,
       v.number AS number
FROM run_config rc
JOIN run_directory d ON d.id = rc.run_directory_id
LEFT JOIN run u ON u.id = d.run_id
JOIN file f ON f.id = rc.file_id
JOIN config_value v ON v.config_id = rc.config_id
UNION ALL
SELECT 'checkpoint', NULL, f.path, 'hyper-parameters', v.key, v.type, v.text, v.number
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN config_value v ON v.config_id = c.config_id
UNION ALL
SELECT 'checkpoint', NULL, f.path, 'statements', v.key, v.type, v.text, v.number
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN config_value v ON v.config_id = c.statements_id
UNION ALL
SELECT 'sidecar', NULL, f.path, s.kind, v.key, v.type, v.text, v.number
FROM sidecar s
JOIN file f ON f.id = s.id
JOIN config_value v ON v.config_id = s.config_id
