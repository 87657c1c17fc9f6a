-- The catalog in one row of numbers.
SELECT (SELECT COUNT(*) FROM root) AS roots,
       (SELECT COUNT(*) FROM ingest) AS ingests,
       (SELECT COUNT(*) FROM run) AS runs,
       (SELECT COUNT(*) FROM open_problems) AS problems,
       (SELECT COUNT(DISTINCT weights_fingerprint) FROM duplicate_checkpoints) AS duplicate_groups,
       (SELECT COALESCE(SUM(g.spare), 0)
        FROM (SELECT MAX(spare_bytes) AS spare FROM duplicate_checkpoints
              GROUP BY weights_fingerprint) g) AS spare_bytes,
       COALESCE(SUM(c.checkpoints), 0) AS checkpoints,
       COALESCE(SUM(CASE WHEN c.state <> 'missing' THEN c.bytes END), 0) AS bytes,
       COALESCE(SUM(CASE WHEN c.state IN ('usable', 'migrated') THEN c.checkpoints END), 0) AS usable,
       COALESCE(SUM(CASE WHEN c.state = 'migrated' THEN c.checkpoints END), 0) AS migrated,
       COALESCE(SUM(CASE WHEN c.unusable = 1 THEN c.checkpoints END), 0) AS unusable,
       COALESCE(SUM(CASE WHEN c.unusable = 1 THEN c.bytes END), 0) AS unusable_bytes,
       COALESCE(SUM(CASE WHEN c.state = 'recoverable' THEN c.checkpoints END), 0) AS recoverable,
       COALESCE(SUM(CASE WHEN c.state = 'unrecoverable' THEN c.checkpoints END), 0) AS unrecoverable,
       COALESCE(SUM(CASE WHEN c.state = 'missing' THEN c.checkpoints END), 0) AS missing,
       COALESCE(SUM(CASE WHEN c.unusable = 1 AND c.rank = 1 THEN c.checkpoints END), 0)
           AS unusable_linked,
       COALESCE(SUM(CASE WHEN c.unusable = 1 AND c.rank = 2 THEN c.checkpoints END), 0)
           AS unusable_ambiguous,
       COALESCE(SUM(CASE WHEN c.unusable = 1 AND c.rank IS NULL THEN c.checkpoints END), 0)
           AS unusable_unlinked,
       COALESCE(SUM(CASE WHEN c.unusable = 1 THEN c.stated END), 0) AS unusable_with_run_config
FROM (
    SELECT b.state, b.unusable, b.rank, COUNT(*) AS checkpoints, SUM(b.size) AS bytes,
           SUM(b.stated) AS stated
    FROM (
        SELECT m.state AS state, f.size AS size,
               CASE WHEN m.state IN ('recoverable', 'unrecoverable') THEN 1 ELSE 0 END AS unusable,
               CASE WHEN m.state IN ('recoverable', 'unrecoverable') THEN
                   (SELECT MIN(CASE l.verdict WHEN 'linked' THEN 1 ELSE 2 END) FROM link l
                    WHERE l.checkpoint_id = m.checkpoint_id
                      AND l.verdict IN ('linked', 'ambiguous'))
               END AS rank,
               CASE WHEN m.state IN ('recoverable', 'unrecoverable') AND EXISTS (
                   SELECT 1 FROM link l
                   JOIN run_config c ON c.run_directory_id = l.run_directory_id
                   WHERE l.checkpoint_id = m.checkpoint_id AND l.verdict = 'linked'
                     AND c.kind <> 'hydra-overrides') THEN 1 ELSE 0 END AS stated
        FROM migration m
        JOIN file f ON f.id = m.checkpoint_id
    ) b
    GROUP BY b.state, b.unusable, b.rank
) c
