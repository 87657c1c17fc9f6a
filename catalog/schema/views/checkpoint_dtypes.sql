-- Tensors, numbers and bytes of each checkpoint by element type; tied weights count once.
--
-- checkpoint_id: number of the checkpoint
-- path: below its root
-- dtype: element type, torch's short name
-- tensors: how many tensors, tied ones included
-- tied: how many of these are the same numbers as another one
-- bytes: what their numbers take; empty where the size of the type is not known
SELECT c.id AS checkpoint_id,
       f.path AS path,
       a.dtype AS dtype,
       a.tensors AS tensors,
       a.tied AS tied,
       a.bytes AS bytes
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN (
    SELECT architecture_id, dtype, COUNT(*) AS tensors, COUNT(shares) AS tied,
           CAST(SUM(CASE WHEN shares IS NULL THEN bytes END) AS BIGINT) AS bytes
    FROM architecture_tensor
    GROUP BY architecture_id, dtype
) a ON a.architecture_id = c.architecture_id
