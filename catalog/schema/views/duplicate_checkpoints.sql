-- Checkpoints whose weights are equal, a row a name. Other names of one file are not copies of it.
--
-- weights_fingerprint: equal for equal weights; where a format keeps no sums, the SHA-256 of the
--   file, or of a folder's weight files, which `catalog ingest --hash` takes
-- copies: how many files hold them, each counted once
-- path, root: where one of these lies
-- name_kind: file, or another name of one: hard link, symbolic link
-- size: its bytes
-- spare_bytes: what deleting this file would free; 0 for the largest file of the group, which is
--   kept, for other names, and for what another host has at the same path with the same time: it
--   may be the same file. They add up to what keeping one file of each group frees
-- modified_at: when it was written, UTC
WITH grouped AS (
    SELECT id, weights_fingerprint AS weights
    FROM checkpoint
    WHERE weights_fingerprint IN (
        SELECT weights_fingerprint FROM checkpoint
        WHERE weights_fingerprint IS NOT NULL
        GROUP BY weights_fingerprint HAVING COUNT(*) > 1
    )
    UNION ALL
    SELECT c.id, f.sha256
    FROM file f
    CROSS JOIN checkpoint c  -- in this order on SQLite: few files have a sum
    WHERE f.sha256 IN (
        SELECT sha256 FROM file WHERE sha256 IS NOT NULL GROUP BY sha256 HAVING COUNT(*) > 1
    )
      AND c.id = f.id AND c.weights_fingerprint IS NULL
),
named AS (
    SELECT g.weights AS weights_fingerprint, f.id AS file_id, f.path AS path, r.path AS root,
           f.size AS size, f.modified_at AS modified_at, f.is_link AS is_link,
           -- Two names of one file agree in all of these, whatever host saw it; two files with
           -- equal weights that agree in all of them would have to be on two disks.
           RANK() OVER (
               PARTITION BY g.weights, f.inode, f.mtime_ns, f.size, f.is_link,
                            CASE WHEN f.inode = 0 THEN RTRIM(r.path, '/') || '/' || f.path END
               ORDER BY f.id
           ) AS number,
           -- One path, size and time under two hosts, and another inode: a copy, or one file on a
           -- disk whose inodes do not last.
           RANK() OVER (
               PARTITION BY g.weights, RTRIM(r.path, '/') || '/' || f.path, f.mtime_ns, f.size
               ORDER BY f.id
           ) AS host_number
    FROM grouped g
    JOIN file f ON f.id = g.id AND f.state = 'present'
    JOIN root r ON r.id = f.root_id
),
shared AS (
    -- Windows, and no join with the groups: SQLite would go through all groups for each file.
    SELECT n.*,
           COUNT(CASE WHEN NOT n.is_link AND n.number = 1 THEN 1 END) OVER same AS copies,
           ROW_NUMBER() OVER (
               PARTITION BY n.weights_fingerprint
               ORDER BY CASE WHEN NOT n.is_link AND n.number = 1 THEN 0 ELSE 1 END,
                        n.size DESC, n.file_id
           ) AS place
    FROM named n
    WINDOW same AS (PARTITION BY n.weights_fingerprint)
)
SELECT s.weights_fingerprint AS weights_fingerprint,
       s.copies AS copies,
       s.path AS path,
       s.root AS root,
       CASE WHEN s.is_link THEN 'symbolic link'
            WHEN s.number > 1 THEN 'hard link'
            ELSE 'file' END AS name_kind,
       s.size AS size,
       CASE WHEN s.is_link OR s.number > 1 OR s.host_number > 1 OR s.place = 1 THEN 0
            ELSE s.size END AS spare_bytes,
       s.modified_at AS modified_at
FROM shared s
WHERE s.copies > 1
