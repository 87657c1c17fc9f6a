-- Why checkpoints cannot be used: how many for each reason and remedy.
SELECT reason_code, remedy, COUNT(*) AS checkpoints, SUM(size) AS bytes
FROM unusable_checkpoints
GROUP BY reason_code, remedy
ORDER BY COUNT(*) DESC, reason_code, remedy
