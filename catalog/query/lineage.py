"""From which checkpoints one came, and which came from it: both ways, over all generations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from catalog.query.find import find_checkpoint
from catalog.query.rows import Rows

if TYPE_CHECKING:
    from catalog.query.connection import Reader

Record: TypeAlias = dict[str, Any]

GENERATIONS = 50
"""How far lineage is followed each way."""

_SELF = """
SELECT t.checkpoint_id AS id, t.root, t.path, t.presence, t.run, t.verdict
FROM checkpoint_trace t WHERE t.checkpoint_id = :id
"""
_PARENTS = """
SELECT l.path AS named, l.named_as, l.parent_id, f.path AS file,
       COALESCE(u.tracker_run_id, u.identity) AS run
FROM link k
JOIN run_directory d ON d.run_id = k.run_id
JOIN lineage l ON l.run_directory_id = d.id
JOIN file f ON f.id = l.file_id
JOIN run u ON u.id = k.run_id
WHERE k.checkpoint_id = :id AND k.verdict = 'linked'
UNION
SELECT l.path, l.named_as, l.parent_id, f.path, NULL
FROM checkpoint_directory cd
JOIN lineage l ON l.run_directory_id = cd.run_directory_id
JOIN file f ON f.id = l.file_id
WHERE cd.checkpoint_id = :id
  AND NOT EXISTS (SELECT 1 FROM link k WHERE k.checkpoint_id = cd.checkpoint_id
                  AND k.verdict = 'linked')
UNION
SELECT l.path, l.named_as, l.parent_id, f.path, NULL
FROM lineage l
JOIN file f ON f.id = l.file_id
WHERE l.file_id = :id AND l.run_directory_id IS NULL
ORDER BY 1, 2, 4
"""
_CHILDREN = """
SELECT DISTINCT k.checkpoint_id AS child, l.named_as, f.path AS file,
       COALESCE(u.tracker_run_id, u.identity) AS run, c.path AS path
FROM lineage l
JOIN file f ON f.id = l.file_id
JOIN run_directory d ON d.id = l.run_directory_id
LEFT JOIN run u ON u.id = d.run_id
LEFT JOIN link k ON k.run_id = d.run_id AND k.verdict = 'linked' AND k.checkpoint_id <> :id
LEFT JOIN file c ON c.id = k.checkpoint_id
WHERE l.parent_id = :id
UNION
SELECT l.file_id, l.named_as, f.path, NULL, f.path
FROM lineage l
JOIN file f ON f.id = l.file_id
WHERE l.parent_id = :id AND l.run_directory_id IS NULL
ORDER BY 4, 5, 2, 3
"""


@dataclass(slots=True)
class Relative:
    """A checkpoint on the way up or down."""

    path: str
    """Below its root; of one that the catalog does not hold, as it is named."""
    state: str
    """As the view `checkpoint_trace` has it, or unknown (the catalog holds none like that)."""
    run: str | None
    """On the way up the run that named it, on the way down the run that went on from it."""
    named_as: str
    """How it is named: `restored-from`, `artifact-used`, `argument`, a config's key, or
    `base-model`."""
    file: str
    """The file that names it."""
    relatives: list[Relative] = field(default_factory=list)
    """The next generation, away from the checkpoint that was asked for."""


@dataclass(frozen=True, slots=True)
class Family:
    """A checkpoint with all that is known of where it came from and what came from it."""

    path: str
    run: str | None
    parents: list[Relative]
    children: list[Relative]

    def rows(self) -> Rows:
        """Return every relative as a row: generations above are negative."""
        found: list[tuple[Any, ...]] = []

        def add(relatives: list[Relative], generation: int, step: int) -> None:
            for one in relatives:
                found.append((generation, one.path, one.state, one.run, one.named_as, one.file))
                add(one.relatives, generation + step, step)

        add(self.parents, -1, -1)
        add(self.children, 1, 1)
        return Rows(("generation", "checkpoint", "state", "run", "named_as", "file"), found)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        from dataclasses import asdict

        return asdict(self)


def family(reader: Reader, text: str, host: str | None = None) -> Family:
    """Return the lineage of the checkpoint that `text` means, as `find_checkpoint` takes it.

    Raises:
        NotFound: no checkpoint fits.
        Ambiguous: several fit.
    """
    number = find_checkpoint(reader, text, host)
    own = reader.run(_SELF, {"id": number}).dicts()[0]
    return Family(
        path=own["path"],
        run=own["run"],
        parents=_above(reader, number, {number}, GENERATIONS),
        children=_below(reader, number, {number}, GENERATIONS),
    )


def _above(reader: Reader, number: int, seen: set[int], left: int) -> list[Relative]:
    found: dict[tuple[str, str | None], Relative] = {}
    for row in reader.run(_PARENTS, {"id": number}).dicts() if left else ():
        parent = row["parent_id"]
        if parent == number:
            continue  # a resumed run overwrote the file that it went on from
        state, path = "unknown", row["named"]
        if parent is not None:
            own = reader.run(_SELF, {"id": parent}).dicts()[0]
            state, path = own["presence"], own["path"]
        one = _merged(found, Relative(path, state, row["run"], row["named_as"], row["file"]))
        if parent is not None and parent not in seen:
            seen.add(parent)
            one.relatives = _above(reader, parent, seen, left - 1)
    return list(found.values())


def _below(reader: Reader, number: int, seen: set[int], left: int) -> list[Relative]:
    found: dict[tuple[str, str | None], Relative] = {}
    for row in reader.run(_CHILDREN, {"id": number}).dicts() if left else ():
        child = row["child"]
        state, path = "unknown", "(no checkpoint of it is known)"
        if child is not None:
            own = reader.run(_SELF, {"id": child}).dicts()[0]
            state, path = own["presence"], own["path"]
        one = _merged(found, Relative(path, state, row["run"], row["named_as"], row["file"]))
        if child is not None and child not in seen:
            seen.add(child)
            one.relatives = _below(reader, child, seen, left - 1)
    return list(found.values())


def _merged(found: dict[tuple[str, str | None], Relative], one: Relative) -> Relative:
    """Keep one entry for what a run names twice: in its log and in its config."""
    known = found.setdefault((one.path, one.run), one)
    if one.named_as not in known.named_as.split(", "):
        known.named_as += f", {one.named_as}"
    return known
