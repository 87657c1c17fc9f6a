-- What could not be read or understood and still stands so.
--
-- problem: number of the problem
-- root, path: where it was met
-- code: short name that scripts can count
-- message: a sentence
-- since_ingest: the ingest that first met it
SELECT p.id AS problem,
       r.path AS root,
       p.path AS path,
       p.code AS code,
       p.message AS message,
       p.first_ingest_id AS since_ingest
FROM problem p
JOIN root r ON r.id = p.root_id
WHERE p.resolved_ingest_id IS NULL
  AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = p.file_id AND f.state = 'missing')
