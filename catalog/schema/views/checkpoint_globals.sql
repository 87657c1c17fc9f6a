-- Every class and function that the pickles of a checkpoint name: one row a name.
--
-- checkpoint_id: number of the checkpoint
-- root, path: the tree it is in, and its path below
-- name: module and name, as `omegaconf.dictconfig.DictConfig`
SELECT c.id AS checkpoint_id,
       r.path AS root,
       f.path AS path,
       n.name AS name
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
JOIN global_set_name n ON n.global_set_id = c.global_set_id
