-- What kinds of files the catalog knows from, how many, and how many are gone since.
--
-- reader: the reader that understands them
-- present, missing: how many files there are, and how many are gone
-- bytes: of those present
SELECT reader AS reader,
       SUM(CASE WHEN state = 'present' THEN 1 ELSE 0 END) AS present,
       SUM(CASE WHEN state = 'missing' THEN 1 ELSE 0 END) AS missing,
       SUM(CASE WHEN state = 'present' THEN size ELSE 0 END) AS bytes
FROM file
GROUP BY reader
