-- What people said with `catalog link`: runs that wrote a checkpoint, and runs that did not.
SELECT f.path AS path, COALESCE(u.tracker_run_id, d.run_identity) AS run, d.decision AS decision,
       d.reason AS reason, d.decided_at AS decided_at, r.path AS root
FROM link_decision d
JOIN file f ON f.id = d.checkpoint_id
JOIN root r ON r.id = f.root_id
LEFT JOIN run u ON u.identity = d.run_identity
ORDER BY d.decided_at, d.id
