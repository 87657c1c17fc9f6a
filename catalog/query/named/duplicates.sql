-- Checkpoints whose weights are equal, and what could be freed by keeping one file of each group.
-- equality is verified where `ingest --hash` read the bytes, else stated by the files themselves:
-- `query duplicates --verify` reads them. spare_bytes is what deleting the file of its row would
-- free: the largest of a group is kept, and what is only stated frees nothing yet.
SELECT weights_fingerprint, equality, copies, name_kind, path, size, spare_bytes,
       stated_spare_bytes, modified_at, root
FROM duplicate_checkpoints
WINDOW same AS (PARTITION BY weights_fingerprint)
ORDER BY SUM(spare_bytes) OVER same DESC, SUM(stated_spare_bytes) OVER same DESC,
         weights_fingerprint, path
