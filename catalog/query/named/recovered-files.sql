-- The files that stand as written by recoveries, with what is needed to verify them.
SELECT j.recovery_id AS recovery,
       j.path AS file,
       j.kind AS kind,
       f.path AS checkpoint,
       j.sha256 AS sha256,
       j.run AS run,
       u.identity AS run_now,
       r.host AS host,
       r.path AS root
FROM recovery_file j
JOIN file f ON f.id = j.checkpoint_id
JOIN root r ON r.id = j.root_id
LEFT JOIN link l ON l.checkpoint_id = j.checkpoint_id AND l.verdict = 'linked'
LEFT JOIN run u ON u.id = l.run_id
WHERE j.state = 'written'
ORDER BY j.id
