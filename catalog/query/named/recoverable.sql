-- Unusable checkpoints whose config is known: what `catalog recover` would write.
SELECT path, run, config_source, reason, root
FROM unusable_checkpoints
WHERE state = 'recoverable'
ORDER BY root, path
