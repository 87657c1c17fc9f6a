-- Checkpoints whose weights are equal, and what the copies take.
SELECT weights_fingerprint, copies, path, size, spare_bytes, modified_at, root
FROM duplicate_checkpoints
ORDER BY spare_bytes DESC, weights_fingerprint, path
