-- Whether `torch.load(file)` takes each checkpoint as it is, why not, and what to run instead.
-- :param path (optional): a part of its path
-- :param accepted (optional): only those with this answer: yes, no or unknown
SELECT f.path, c.loads_by_default, c.loads_torch, c.loads_reason, c.loads_remedy, c.safety,
       r.path AS root
FROM root r
CROSS JOIN file f
JOIN checkpoint c ON c.id = f.id
WHERE f.root_id = r.id AND c.loads_by_default IS NOT NULL
  AND (CAST(:path AS TEXT) IS NULL OR REPLACE(f.path, CAST(:path AS TEXT), '') <> f.path)
  AND (CAST(:accepted AS TEXT) IS NULL OR c.loads_by_default = CAST(:accepted AS TEXT))
ORDER BY r.host, r.path, f.path
