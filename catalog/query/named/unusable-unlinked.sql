-- Unusable checkpoints that no known run fits.
SELECT path, size, modified_at, reason, remedy, root
FROM unusable_checkpoints
WHERE verdict = 'unlinked'
ORDER BY root, path
