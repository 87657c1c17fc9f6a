-- Checkpoints whose weights are equal, and what could be freed by keeping one file of each group.
SELECT weights_fingerprint, copies, name_kind, path, size, spare_bytes, modified_at, root
FROM duplicate_checkpoints
ORDER BY spare_bytes DESC, weights_fingerprint, path
