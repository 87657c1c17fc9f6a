-- Why checkpoints cannot be used: how many for each reason and remedy.
SELECT m.reason_code, m.remedy, COUNT(*) AS checkpoints, SUM(f.size) AS bytes
FROM migration m
JOIN file f ON f.id = m.checkpoint_id
WHERE m.state IN ({UNUSABLE})
GROUP BY m.reason_code, m.remedy
ORDER BY COUNT(*) DESC, m.reason_code, m.remedy
