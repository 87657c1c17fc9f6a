-- The evidence that links the unusable checkpoints, a row for each kind.
SELECT e.kind,
       COUNT(*) AS observations,
       COUNT(DISTINCT l.checkpoint_id) AS checkpoints,
       MIN(e.weight) AS lowest_weight,
       MAX(e.weight) AS highest_weight
FROM link_evidence e
JOIN link l ON l.id = e.link_id AND l.verdict = 'linked'
JOIN unusable_checkpoints u ON u.checkpoint_id = l.checkpoint_id
GROUP BY e.kind
ORDER BY COUNT(DISTINCT l.checkpoint_id) DESC, e.kind
