-- Open problems counted by code.
SELECT code, COUNT(*) AS problems, MIN(path) AS example
FROM open_problems
GROUP BY code
ORDER BY COUNT(*) DESC, code
