-- The config to believe for each run directory. Of all that its files state it is the one of the
-- lowest rank; the others stay in `run_config`.
--
-- run_directory_id: number of the folder
-- run_number: number of the run that it tells of
-- config_id: number of the config
-- kind: what kind of document states it
-- unresolved: keys that still hold `${...}`, a JSON list
-- file_id, config_file: the file that states it, as a number and as its path
-- file_state: of that file: present, gone or left out
SELECT rc.run_directory_id AS run_directory_id,
       d.run_id AS run_number,
       rc.config_id AS config_id,
       rc.kind AS kind,
       rc.unresolved AS unresolved,
       rc.file_id AS file_id,
       f.path AS config_file,
       CASE WHEN f.state = 'present' THEN 'present'
            WHEN f.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN f.id IS NOT NULL THEN 'left out' END AS file_state
FROM run_config rc
JOIN run_directory d ON d.id = rc.run_directory_id
JOIN file f ON f.id = rc.file_id
WHERE rc.kind <> 'hydra-overrides'
  AND NOT EXISTS (
    SELECT 1 FROM run_config other
    WHERE other.run_directory_id = rc.run_directory_id
      AND other.kind <> 'hydra-overrides'
      AND (other.rank < rc.rank OR (other.rank = rc.rank AND other.id < rc.id))
  )
