-- What could not be read or understood.
-- :param code (optional): only problems of that code
SELECT code, path, message, since_ingest, root
FROM open_problems
WHERE CAST(:code AS TEXT) IS NULL OR code = CAST(:code AS TEXT)
ORDER BY root, path, code
