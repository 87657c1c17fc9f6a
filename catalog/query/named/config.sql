-- Values of configs under their dotted keys, with the file that states each.
-- :param run (optional): only configs of that run id
-- :param key (optional): only that key, e.g. model.encoder.name
-- :param file (optional): a part of the path of the file that states it
SELECT owner, run, kind, key, type, text, number, file
FROM config_flat
WHERE (CAST(:run AS TEXT) IS NULL OR run = CAST(:run AS TEXT))
  AND (CAST(:key AS TEXT) IS NULL OR key = CAST(:key AS TEXT))
  AND (CAST(:file AS TEXT) IS NULL OR REPLACE(file, CAST(:file AS TEXT), '') <> file)
ORDER BY run, file, key
