-- How many checkpoints are in which state now, and how many bytes they take.
--
-- state: each state of the view `checkpoint_state`, which explains them, in its order
-- checkpoints: how many; they add up to all checkpoints in the catalog
-- bytes: what they take; of missing ones, what they took
SELECT s.state AS state,
       COALESCE(n.checkpoints, 0) AS checkpoints,
       COALESCE(n.bytes, 0) AS bytes
FROM checkpoint_state s
LEFT JOIN (
    SELECT m.state AS state, COUNT(*) AS checkpoints, SUM(f.size) AS bytes
    FROM migration m JOIN file f ON f.id = m.checkpoint_id
    GROUP BY m.state
) n ON n.state = s.state
ORDER BY s.place
