-- The evidence that links the unusable checkpoints, a row for each kind.
SELECT e.kind,
       COUNT(*) AS observations,
       COUNT(DISTINCT l.checkpoint_id) AS checkpoints,
       MIN(e.weight) AS lowest_weight,
       MAX(e.weight) AS highest_weight
FROM migration m
JOIN link l ON l.checkpoint_id = m.checkpoint_id AND l.verdict = 'linked'
JOIN link_evidence e ON e.link_id = l.id
WHERE m.state IN ({UNUSABLE})
GROUP BY e.kind
ORDER BY COUNT(DISTINCT l.checkpoint_id) DESC, e.kind
