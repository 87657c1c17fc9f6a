-- Unusable checkpoints whose run is known, with the config of that run.
SELECT u.path, u.run, u.run_directory, u.config_source, t.score, u.state, u.root
FROM unusable_checkpoints u
JOIN checkpoint_trace t ON t.checkpoint_id = u.checkpoint_id
WHERE u.verdict = 'linked'
ORDER BY u.root, u.path
