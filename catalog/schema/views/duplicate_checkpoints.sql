-- Checkpoints whose weights are equal, a row a file. Links to a file are not copies of it.
--
-- weights_fingerprint: equal for equal weights
-- copies: how many files share them
-- path, root: one of these files
-- size: its bytes
-- spare_bytes: what the other files of the group take
-- modified_at: when it was written, UTC
SELECT g.weights_fingerprint AS weights_fingerprint,
       g.copies AS copies,
       f.path AS path,
       r.path AS root,
       f.size AS size,
       g.bytes - g.largest AS spare_bytes,
       f.modified_at AS modified_at
FROM (
    SELECT c.weights_fingerprint, COUNT(*) AS copies, SUM(f.size) AS bytes, MAX(f.size) AS largest
    FROM checkpoint c
    JOIN file f ON f.id = c.id AND f.state = 'present' AND NOT f.is_link
    WHERE c.weights_fingerprint IS NOT NULL
    GROUP BY c.weights_fingerprint
    HAVING COUNT(*) > 1
) g
JOIN checkpoint c ON c.weights_fingerprint = g.weights_fingerprint
JOIN file f ON f.id = c.id AND f.state = 'present' AND NOT f.is_link
JOIN root r ON r.id = f.root_id
