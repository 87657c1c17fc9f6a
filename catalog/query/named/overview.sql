-- The catalog in one row of numbers.
SELECT (SELECT COUNT(*) FROM root) AS roots,
       (SELECT COUNT(*) FROM ingest) AS ingests,
       (SELECT COUNT(*) FROM run) AS runs,
       (SELECT COUNT(*) FROM open_problems) AS problems,
       d.duplicate_groups AS duplicate_groups,
       d.spare_bytes AS spare_bytes,
       d.stated_spare_bytes AS stated_spare_bytes,
       c.checkpoints AS checkpoints,
       c.bytes AS bytes,
       c.usable AS usable,
       c.migrated AS migrated,
       c.doubted AS doubted,
       c.unchecked AS unchecked,
       c.unusable AS unusable,
       c.unusable_bytes AS unusable_bytes,
       c.recoverable AS recoverable,
       c.ambiguous_config AS ambiguous_config,
       c.unrecoverable AS unrecoverable,
       c.damaged AS damaged,
       c.not_a_model AS not_a_model,
       c.missing AS missing,
       c.left_out AS left_out,
       c.trashed AS trashed,
       v.linked AS unusable_linked,
       v.ambiguous AS unusable_ambiguous,
       c.unusable - v.linked - v.ambiguous AS unusable_unlinked,
       v.stated AS unusable_with_run_config
FROM (
    SELECT COALESCE(SUM(CASE WHEN s.part_of IS NULL THEN s.checkpoints END), 0) AS checkpoints,
           COALESCE(SUM(CASE WHEN s.part_of IS NULL AND s.state NOT IN ({ABSENT})
                             THEN s.bytes END), 0) AS bytes,
           COALESCE(SUM(CASE WHEN s.state = 'usable' THEN s.checkpoints END), 0) AS usable,
           COALESCE(SUM(CASE WHEN s.state IN ({UNUSABLE}) THEN s.checkpoints END), 0) AS unusable,
           COALESCE(SUM(CASE WHEN s.state IN ({UNUSABLE}) THEN s.bytes END), 0)
               AS unusable_bytes,
           COALESCE(SUM(CASE WHEN s.state = 'migrated' THEN s.checkpoints END), 0)
               AS migrated,
           COALESCE(SUM(CASE WHEN s.state = 'unchecked' THEN s.checkpoints END), 0)
               AS unchecked,
           COALESCE(SUM(CASE WHEN s.state = 'recoverable' THEN s.checkpoints END), 0)
               AS recoverable,
           COALESCE(SUM(CASE WHEN s.state = 'ambiguous config' THEN s.checkpoints END), 0)
               AS ambiguous_config,
           COALESCE(SUM(CASE WHEN s.state = 'unrecoverable' THEN s.checkpoints END), 0)
               AS unrecoverable,
           COALESCE(SUM(CASE WHEN s.state = 'damaged' THEN s.checkpoints END), 0)
               AS damaged,
           COALESCE(SUM(CASE WHEN s.state = 'not a model' THEN s.checkpoints END), 0)
               AS not_a_model,
           COALESCE(SUM(CASE WHEN s.state = 'missing' THEN s.checkpoints END), 0)
               AS missing,
           COALESCE(SUM(CASE WHEN s.state = 'left out' THEN s.checkpoints END), 0)
               AS left_out,
           COALESCE(SUM(CASE WHEN s.state = 'trashed' THEN s.checkpoints END), 0)
               AS trashed,
           (SELECT COUNT(*) FROM migration o
            WHERE o.doubt IS NOT NULL AND o.state IN ({USABLE})) AS doubted
    FROM migration_status s
) c
CROSS JOIN (
    SELECT COALESCE(SUM(b.checkpoints), 0) AS linked,
           -- Checkpoints of one folder share its configs: each folder is looked at once.
           COALESCE(SUM(CASE WHEN EXISTS (SELECT 1 FROM run_config o
                                          WHERE o.run_directory_id = b.run_directory_id
                                            AND o.kind <> 'hydra-overrides')
                             THEN b.checkpoints END), 0) AS stated,
           (SELECT COUNT(DISTINCT a.checkpoint_id) FROM link a
            JOIN migration p ON p.checkpoint_id = a.checkpoint_id
            WHERE a.verdict = 'ambiguous' AND p.state IN ({UNUSABLE})
              AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = a.checkpoint_id
                                AND l.verdict = 'linked')) AS ambiguous
    FROM (
        SELECT l.run_directory_id, COUNT(*) AS checkpoints
        FROM migration m
        JOIN link l ON l.checkpoint_id = m.checkpoint_id AND l.verdict = 'linked'
        WHERE m.state IN ({UNUSABLE})
        GROUP BY l.run_directory_id
    ) b
) v
CROSS JOIN (
    SELECT COUNT(*) AS duplicate_groups, COALESCE(SUM(g.spare), 0) AS spare_bytes,
           COALESCE(SUM(g.stated_spare), 0) AS stated_spare_bytes
    FROM (SELECT SUM(spare_bytes) AS spare, SUM(stated_spare_bytes) AS stated_spare
          FROM duplicate_checkpoints GROUP BY weights_fingerprint) g
) d
