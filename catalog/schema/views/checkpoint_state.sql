-- The states that a checkpoint can be in, one meaning each, the best first.
-- A checkpoint is in one of them. Where they are counted, the number of a state holds those of its
-- kinds: those that are part of no other add up to all checkpoints in the catalog.
--
-- state: as the other views and `migration.state` have it
-- meaning: a sentence
-- place: in the order in which they are shown
-- is_usable: 1 where it counts as usable
-- is_unusable: 1 where it counts as unusable: there, and a person may want to mend it
-- is_absent: 1 where nobody looks at its bytes: gone, or left out
-- part_of: the state of which it is a kind
SELECT s.state AS state,
       s.meaning AS meaning,
       s.place AS place,
       s.is_usable AS is_usable,
       s.is_unusable AS is_unusable,
       s.is_absent AS is_absent,
       s.part_of AS part_of
FROM (
    {STATE_ROWS}
) s
