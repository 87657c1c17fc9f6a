-- The catalog in one row of numbers.
SELECT (SELECT COUNT(*) FROM root) AS roots,
       (SELECT COUNT(*) FROM ingest) AS ingests,
       (SELECT COUNT(*) FROM run) AS runs,
       (SELECT COUNT(*) FROM open_problems) AS problems,
       (SELECT COUNT(DISTINCT weights_fingerprint) FROM duplicate_checkpoints) AS duplicate_groups,
       (SELECT COALESCE(SUM(g.spare), 0)
        FROM (SELECT MAX(spare_bytes) AS spare FROM duplicate_checkpoints
              GROUP BY weights_fingerprint) g) AS spare_bytes,
       COUNT(*) AS checkpoints,
       COALESCE(SUM(CASE WHEN presence = 'present' THEN size END), 0) AS bytes,
       COALESCE(SUM(CASE WHEN state IN ('usable', 'migrated') THEN 1 END), 0) AS usable,
       COALESCE(SUM(CASE WHEN state = 'migrated' THEN 1 END), 0) AS migrated,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable') THEN 1 END), 0) AS unusable,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable') THEN size END), 0)
           AS unusable_bytes,
       COALESCE(SUM(CASE WHEN state = 'recoverable' THEN 1 END), 0) AS recoverable,
       COALESCE(SUM(CASE WHEN state = 'unrecoverable' THEN 1 END), 0) AS unrecoverable,
       COALESCE(SUM(CASE WHEN state = 'missing' THEN 1 END), 0) AS missing,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable')
                          AND verdict = 'linked' THEN 1 END), 0) AS unusable_linked,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable')
                          AND verdict = 'ambiguous' THEN 1 END), 0) AS unusable_ambiguous,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable')
                          AND verdict = 'unlinked' THEN 1 END), 0) AS unusable_unlinked,
       COALESCE(SUM(CASE WHEN state IN ('recoverable', 'unrecoverable')
                          AND config_source IS NOT NULL THEN 1 END), 0) AS unusable_with_run_config
FROM checkpoint_trace
