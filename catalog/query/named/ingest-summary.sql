-- What stands in the catalog, in one row.
-- Checkpoints that are gone count in no column but `checkpoints`.
SELECT (SELECT COUNT(*) FROM problem WHERE resolved_ingest_id IS NULL) AS problems,
       COALESCE(SUM(c.checkpoints), 0) AS checkpoints,
       COALESCE(SUM(CASE WHEN c.state IN ('usable', 'migrated') THEN c.checkpoints END), 0) AS usable,
       COALESCE(SUM(CASE WHEN c.state IN ('recoverable', 'unrecoverable') THEN c.checkpoints END), 0)
           AS unusable,
       COALESCE(SUM(CASE WHEN c.state <> 'missing' AND c.rank = 1 THEN c.checkpoints END), 0)
           AS linked,
       COALESCE(SUM(CASE WHEN c.state <> 'missing' AND c.rank = 2 THEN c.checkpoints END), 0)
           AS ambiguous,
       COALESCE(SUM(CASE WHEN c.state <> 'missing' AND c.rank IS NULL THEN c.checkpoints END), 0)
           AS unlinked
FROM (
    SELECT b.state, b.rank, COUNT(*) AS checkpoints
    FROM (
        SELECT m.state AS state,
               (SELECT MIN(CASE l.verdict WHEN 'linked' THEN 1 ELSE 2 END) FROM link l
                WHERE l.checkpoint_id = m.checkpoint_id
                  AND l.verdict IN ('linked', 'ambiguous')) AS rank
        FROM migration m
    ) b
    GROUP BY b.state, b.rank
) c
