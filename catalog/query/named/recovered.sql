-- The sidecars that `catalog recover` set out to write, and what became of each.
SELECT j.recovery_id AS recovery, j.state, f.path, j.path AS sidecar, s.path AS source,
       CASE WHEN s.state = 'present' THEN 'present'
            WHEN s.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN s.id IS NOT NULL THEN 'left out' END AS source_state, j.note,
       r.path AS root
FROM recovery_file j
JOIN file f ON f.id = j.checkpoint_id
JOIN file s ON s.id = j.source_file_id
JOIN root r ON r.id = j.root_id
WHERE j.kind = 'sidecar'
ORDER BY j.id
