-- The names of machines under which each tree was seen, the last one first.
-- is_last: whether nobody saw the tree under another name since; it is kept under this one.
SELECT h.host, r.path AS root, h.seen_at, CASE WHEN h.host = r.host THEN 1 ELSE 0 END AS is_last
FROM root_host h
JOIN root r ON r.id = h.root_id
ORDER BY r.path, r.id, is_last DESC, h.seen_at DESC, h.host
