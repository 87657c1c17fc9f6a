-- What is in the catalog, in one row.
-- The counts from `usable` to `trashed_checkpoints` add up to `checkpoints`; those that are migrated
-- or in doubt are of the usable. Those of links are of
-- the checkpoints that are there, other data under a checkpoint's name left aside.
SELECT (SELECT COUNT(*) FROM open_problems) AS problems,
       s.checkpoints AS checkpoints,
       s.usable AS usable,
       s.unchecked AS unchecked,
       s.unusable AS unusable,
       s.not_a_model AS not_a_model,
       s.missing AS missing_checkpoints,
       s.left_out AS left_out_checkpoints,
       s.trashed AS trashed_checkpoints,
       s.migrated AS migrated,
       s.doubted AS doubted,
       s.linked AS linked,
       s.ambiguous AS ambiguous,
       s.usable + s.unchecked + s.unusable - s.linked - s.ambiguous AS unlinked
FROM (
    SELECT COUNT(*) AS checkpoints,
           COUNT(CASE WHEN m.state IN ({USABLE}) THEN 1 END) AS usable,
           COUNT(CASE WHEN m.state = 'migrated' THEN 1 END) AS migrated,
           COUNT(CASE WHEN m.state = 'unchecked' THEN 1 END) AS unchecked,
           COUNT(CASE WHEN m.state IN ({UNUSABLE}) THEN 1 END) AS unusable,
           COUNT(CASE WHEN m.state = 'not a model' THEN 1 END) AS not_a_model,
           COUNT(CASE WHEN m.state = 'missing' THEN 1 END) AS missing,
           COUNT(CASE WHEN m.state = 'left out' THEN 1 END) AS left_out,
           COUNT(CASE WHEN m.state = 'trashed' THEN 1 END) AS trashed,
           (SELECT COUNT(*) FROM migration o
            WHERE o.doubt IS NOT NULL AND o.state IN ({USABLE})) AS doubted,
           -- All links less those of the others: both are counted in an index alone.
           (SELECT COUNT(*) FROM link l WHERE l.verdict = 'linked')
               - (SELECT COUNT(*) FROM migration g
                  JOIN link l ON l.checkpoint_id = g.checkpoint_id AND l.verdict = 'linked'
                  WHERE g.state IN ({ABSENT}, {OTHER})) AS linked,
           (SELECT COUNT(DISTINCT a.checkpoint_id) FROM link a
            JOIN migration p ON p.checkpoint_id = a.checkpoint_id
            WHERE a.verdict = 'ambiguous' AND p.state NOT IN ({ABSENT}, {OTHER})
              AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = a.checkpoint_id
                                AND l.verdict = 'linked')) AS ambiguous
    FROM migration m
) s
