-- What kinds of files the catalog knows from, how many, and how many are gone since.
--
-- reader: the reader that understands them
-- present, missing: how many files there are, and how many are gone
-- bytes: of those present
SELECT n.reader AS reader,
       SUM(CASE WHEN n.state = 'present' THEN n.files ELSE 0 END) AS present,
       SUM(CASE WHEN n.state = 'missing' THEN n.files ELSE 0 END) AS missing,
       SUM(CASE WHEN n.state = 'present' THEN n.bytes ELSE 0 END) AS bytes
FROM (
    SELECT reader, state, COUNT(*) AS files, SUM(size) AS bytes
    FROM file
    GROUP BY reader, state
) n
GROUP BY n.reader
ORDER BY present DESC, reader
