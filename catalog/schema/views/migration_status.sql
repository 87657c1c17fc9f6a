-- How many checkpoints are in which state now, and how many bytes they take.
--
-- state: each state of the view `checkpoint_state`, which explains them, in its order
-- checkpoints: how many; the rows without a `part_of` add up to all checkpoints in the catalog
-- bytes: what they take; of missing ones, what they took
-- part_of: the state whose row counts them, too
SELECT s.state AS state,
       COALESCE(SUM(n.checkpoints), 0) AS checkpoints,
       COALESCE(SUM(n.bytes), 0) AS bytes,
       s.part_of AS part_of
FROM checkpoint_state s
LEFT JOIN (
    SELECT m.state AS state, COUNT(*) AS checkpoints, SUM(f.size) AS bytes
    FROM migration m JOIN file f ON f.id = m.checkpoint_id
    GROUP BY m.state
) n ON n.state = s.state OR (s.state = 'usable' AND n.state IN ({USABLE}))
GROUP BY s.state, s.part_of, s.place
ORDER BY s.place
