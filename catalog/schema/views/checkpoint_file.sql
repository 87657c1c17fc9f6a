-- Every checkpoint with the file that holds it.
--
-- checkpoint_id: number of the checkpoint
-- host, root: the machine, and the tree it lies in there
-- path: path below the root
-- size: bytes on disk
-- modified_at: when it was written, UTC
-- state: present, missing (gone) or left out (there, and no ingest looks at it any more)
-- format: how it is stored, e.g. `torch-zip`
-- status: whether it could be read, and if not what stands in its place
SELECT c.id AS checkpoint_id,
       r.host AS host,
       r.path AS root,
       f.path AS path,
       f.size AS size,
       f.modified_at AS modified_at,
       CASE WHEN f.state = 'missing' AND f.missing_ingest_id IS NULL THEN 'left out'
            ELSE f.state END AS state,
       c.format AS format,
       c.status AS status
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
