-- Checkpoints whose weights are equal, a row a name. Other names of one file are not copies of it.
-- Damaged files are none of them.
--
-- weights_fingerprint: equal for the rows of one group: what the files state of their weights, or
--   the SHA-256 of the weights where files state nothing, or state the same of different weights
-- equality: verified: `catalog ingest --hash` read the bytes of all of them; stated: nobody did,
--   the files say so
-- copies: how many files hold them, each counted once
-- path, root: where one of these lies
-- name_kind: file, or another name of one: hard link, symbolic link
-- size: its bytes
-- spare_bytes: what deleting this file would free; 0 where equality is only stated, for the
--   largest file of the group, which is kept, for other names, and for what another host has at the
--   same path with the same time: it may be the same file. They add up to what keeping one file of
--   each group frees
-- stated_spare_bytes: the same where equality is only stated: what it would be if it is verified
-- modified_at: when it was written, UTC
-- checkpoint_id: number of the checkpoint
WITH repeated AS (
    SELECT id, weights_fingerprint, weights_sha256
    FROM checkpoint
    WHERE weights_fingerprint IN (
        SELECT weights_fingerprint FROM checkpoint
        WHERE weights_fingerprint IS NOT NULL
        GROUP BY weights_fingerprint HAVING COUNT(*) > 1
    )
      AND damage IS NULL AND status IN ('readable', 'recognised')
    UNION  -- many are in both
    SELECT id, weights_fingerprint, weights_sha256
    FROM checkpoint
    WHERE weights_sha256 IN (
        SELECT weights_sha256 FROM checkpoint
        WHERE weights_sha256 IS NOT NULL
        GROUP BY weights_sha256 HAVING COUNT(*) > 1
    )
      AND damage IS NULL AND status IN ('readable', 'recognised')
),
present AS (
    SELECT p.id AS file_id, p.weights_sha256 AS verified, f.path AS path, r.path AS root,
           f.size AS size, f.modified_at AS modified_at, f.mtime_ns AS mtime_ns,
           f.inode AS inode, f.is_link AS is_link,
           -- Equal bytes whose file states nothing of them belong to those that do.
           CASE WHEN p.weights_sha256 IS NULL THEN p.weights_fingerprint
                ELSE COALESCE(MIN(p.weights_fingerprint) OVER (PARTITION BY p.weights_sha256),
                              p.weights_sha256) END AS stated
    FROM repeated p
    JOIN file f ON f.id = p.id AND f.state = 'present'
    JOIN root r ON r.id = f.root_id
),
grouped AS (
    SELECT p.*,
           -- What is stated of different bytes is no sum of them.
           CASE WHEN p.verified IS NOT NULL
                 AND MIN(p.verified) OVER alike <> MAX(p.verified) OVER alike
                THEN p.verified ELSE p.stated END AS weights
    FROM present p
    WINDOW alike AS (PARTITION BY p.stated)
),
named AS (
    SELECT g.*,
           -- Two names of one file agree in all of these, whatever host saw it; two files with
           -- equal weights that agree in all of them would have to be on two disks.
           RANK() OVER (
               PARTITION BY g.weights, g.inode, g.mtime_ns, g.size, g.is_link,
                            CASE WHEN g.inode = 0 THEN RTRIM(g.root, '/') || '/' || g.path END
               ORDER BY g.file_id
           ) AS number,
           -- One path, size and time under two hosts, and another inode: a copy, or one file on a
           -- disk whose inodes do not last.
           RANK() OVER (
               PARTITION BY g.weights, RTRIM(g.root, '/') || '/' || g.path, g.mtime_ns, g.size
               ORDER BY g.file_id
           ) AS host_number
    FROM grouped g
),
shared AS (
    -- Windows, and no join with the groups: SQLite would go through all groups for each file.
    SELECT n.*,
           COUNT(CASE WHEN NOT n.is_link AND n.number = 1 THEN 1 END) OVER same AS copies,
           CASE WHEN COUNT(n.verified) OVER same = COUNT(*) OVER same
                THEN 'verified' ELSE 'stated' END AS equality,
           ROW_NUMBER() OVER (
               PARTITION BY n.weights
               ORDER BY CASE WHEN NOT n.is_link AND n.number = 1 THEN 0 ELSE 1 END,
                        n.size DESC, n.file_id
           ) AS place
    FROM named n
    WINDOW same AS (PARTITION BY n.weights)
),
spare AS (
    SELECT s.*, CASE WHEN s.is_link OR s.number > 1 OR s.host_number > 1 OR s.place = 1 THEN 0
                     ELSE s.size END AS bytes
    FROM shared s
    WHERE s.copies > 1
)
SELECT s.weights AS weights_fingerprint,
       s.equality AS equality,
       s.copies AS copies,
       s.path AS path,
       s.root AS root,
       CASE WHEN s.is_link THEN 'symbolic link'
            WHEN s.number > 1 THEN 'hard link'
            ELSE 'file' END AS name_kind,
       s.size AS size,
       CASE WHEN s.equality = 'verified' THEN s.bytes ELSE 0 END AS spare_bytes,
       CASE WHEN s.equality = 'verified' THEN 0 ELSE s.bytes END AS stated_spare_bytes,
       s.modified_at AS modified_at,
       s.file_id AS checkpoint_id
FROM spare s
