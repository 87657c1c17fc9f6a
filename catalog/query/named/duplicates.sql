-- Checkpoints whose weights are equal, and what could be freed by keeping one file of each group.
-- spare_bytes is what deleting the file of its row would free: the largest of a group is kept.
SELECT weights_fingerprint, copies, name_kind, path, size, spare_bytes, modified_at, root
FROM duplicate_checkpoints
ORDER BY SUM(spare_bytes) OVER (PARTITION BY weights_fingerprint) DESC, weights_fingerprint, path
