-- What stands in the catalog, in one row.
-- Checkpoints that are gone count in no column but `checkpoints`.
SELECT (SELECT COUNT(*) FROM open_problems) AS problems,
       (SELECT COUNT(*) FROM migration) AS checkpoints,
       (SELECT COUNT(*) FROM migration WHERE state IN ('usable', 'migrated')) AS usable,
       (SELECT COUNT(*) FROM migration WHERE state IN ('recoverable', 'unrecoverable')) AS unusable,
       (SELECT COUNT(*) FROM checkpoint_trace t JOIN migration m ON m.checkpoint_id = t.checkpoint_id
        WHERE m.state <> 'missing' AND t.verdict = 'linked') AS linked,
       (SELECT COUNT(*) FROM checkpoint_trace t JOIN migration m ON m.checkpoint_id = t.checkpoint_id
        WHERE m.state <> 'missing' AND t.verdict = 'ambiguous') AS ambiguous,
       (SELECT COUNT(*) FROM checkpoint_trace t JOIN migration m ON m.checkpoint_id = t.checkpoint_id
        WHERE m.state <> 'missing' AND t.verdict = 'unlinked') AS unlinked
