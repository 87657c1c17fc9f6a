-- Every ingest: what it looked at, what it read, how it ended.
SELECT id AS ingest, status, cause, started_at, finished_at, files_seen, files_read,
       files_unchanged, files_missing, problems
FROM ingest
ORDER BY id
