-- What kinds of files the catalog knows from, how many, and how many are gone since.
--
-- reader: the reader that understands them
-- present, missing: how many files there are, and how many are gone
-- bytes: of those present
-- left_out: how many are there, and left out of ingests now
SELECT s.reader AS reader,
       s.present AS present,
       s.absent - s.left_out AS missing,
       s.bytes AS bytes,
       s.left_out AS left_out
FROM (
    SELECT n.reader AS reader,
           SUM(CASE WHEN n.state = 'present' THEN n.files ELSE 0 END) AS present,
           SUM(CASE WHEN n.state = 'missing' THEN n.files ELSE 0 END) AS absent,
           SUM(CASE WHEN n.state = 'present' THEN n.bytes ELSE 0 END) AS bytes,
           (SELECT COUNT(*) FROM file f
            WHERE f.reader = n.reader AND f.state = 'missing' AND f.missing_ingest_id IS NULL)
               AS left_out
    FROM (
        SELECT reader, state, COUNT(*) AS files, SUM(size) AS bytes
        FROM file
        GROUP BY reader, state
    ) n
    GROUP BY n.reader
) s
ORDER BY present DESC, reader
