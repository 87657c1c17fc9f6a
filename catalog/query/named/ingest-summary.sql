-- What stands in the catalog, in one row.
-- Checkpoints that are gone count in no column but `checkpoints` and `missing_checkpoints`, those
-- that are there and left out by a pattern in none but `checkpoints` and `left_out_checkpoints`.
SELECT (SELECT COUNT(*) FROM open_problems) AS problems,
       s.checkpoints AS checkpoints,
       s.usable AS usable,
       s.unusable AS unusable,
       s.missing - s.left_out AS missing_checkpoints,
       s.left_out AS left_out_checkpoints,
       s.linked AS linked,
       s.ambiguous AS ambiguous,
       s.checkpoints - s.missing - s.linked - s.ambiguous AS unlinked
FROM (
    SELECT COUNT(*) AS checkpoints,
           COUNT(CASE WHEN m.state IN ('usable', 'migrated') THEN 1 END) AS usable,
           COUNT(CASE WHEN m.state IN ('recoverable', 'unrecoverable') THEN 1 END) AS unusable,
           COUNT(CASE WHEN m.state = 'missing' THEN 1 END) AS missing,
           (SELECT COUNT(*) FROM migration o
            WHERE o.state = 'missing' AND o.reason_code = 'left-out') AS left_out,
           -- All links less those of what is gone: both are counted in an index alone.
           (SELECT COUNT(*) FROM link l WHERE l.verdict = 'linked')
               - (SELECT COUNT(*) FROM migration g
                  JOIN link l ON l.checkpoint_id = g.checkpoint_id AND l.verdict = 'linked'
                  WHERE g.state = 'missing') AS linked,
           (SELECT COUNT(DISTINCT a.checkpoint_id) FROM link a
            JOIN migration p ON p.checkpoint_id = a.checkpoint_id
            WHERE a.verdict = 'ambiguous' AND p.state <> 'missing'
              AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = a.checkpoint_id
                                AND l.verdict = 'linked')) AS ambiguous
    FROM migration m
) s
