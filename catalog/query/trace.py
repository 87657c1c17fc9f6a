"""Where one checkpoint came from: all that the catalog knows, and the files it knows it from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from catalog.query.find import find_checkpoint
from catalog.query.rows import Rows, directory_state, file_state
from catalog.query.run import TELLING_FILES
from catalog.schema.views import with_states

if TYPE_CHECKING:
    from catalog.query.connection import Reader

Record: TypeAlias = dict[str, Any]
"""One row: column to value."""

_CHECKPOINT = f"""
SELECT t.*, m.reason_code, m.remedy, m.config_kind AS inference_config_kind,
       f.path AS inference_config, {file_state("f")} AS inference_config_state,
       c.monitor_mode, c.directory, c.weights_doubt,
       c.loads_torch, c.loads_reason, c.loads_remedy,
       CASE WHEN SUBSTR(c.best_path, 1, 2) <> './' THEN c.best_path
            WHEN SUBSTR(c.best_path, 1, 4) = '././' THEN SUBSTR(c.best_path, 3)
            ELSE COALESCE(c.directory, '.') || SUBSTR(c.best_path, 2) END AS best_path,
       own.sha256
FROM checkpoint_trace t
JOIN checkpoint c ON c.id = t.checkpoint_id
JOIN file own ON own.id = c.id
LEFT JOIN migration m ON m.checkpoint_id = t.checkpoint_id
LEFT JOIN file f ON f.id = m.config_file_id
WHERE t.checkpoint_id = :id
"""  # noqa: S608 - from `file_state`
_CANDIDATES = f"""
SELECT l.id AS link, l.verdict, l.decided_by, l.score,
       COALESCE(u.tracker_run_id, u.identity) AS run,
       u.tracker, u.entity, u.project, u.display_name, u.state AS run_state, u.started_at,
       u.ended_at, u.git_remote, u.git_commit, d.path AS run_directory,
       {directory_state("d")} AS run_directory_state
FROM link l
JOIN run u ON u.id = l.run_id
JOIN run_directory d ON d.id = l.run_directory_id
WHERE l.checkpoint_id = :id
ORDER BY CASE l.verdict WHEN 'linked' THEN 0 WHEN 'ambiguous' THEN 1 WHEN 'candidate' THEN 2
         ELSE 3 END, l.score DESC, l.id
"""  # noqa: S608 - from `file_state`
_EVIDENCE = f"""
SELECT e.link_id AS link, e.kind, e.weight, e.detail, f.path AS file,
       {file_state("f")} AS file_state
FROM link_evidence e
JOIN link l ON l.id = e.link_id
LEFT JOIN file f ON f.id = e.run_file_id
WHERE l.checkpoint_id = :id
ORDER BY ABS(e.weight) DESC, e.position
"""  # noqa: S608 - from `file_state`
_PLACES = """
SELECT p.run, p.tracker, p.run_directory FROM checkpoint_in_run p WHERE p.checkpoint_id = :id
"""
_CONFIGS = f"""
SELECT f.path AS file, {file_state("f")} AS file_state,
       rc.kind, rc.rank, rc.unresolved, 'run' AS of_what,
       CASE WHEN rc.id = (SELECT o.id FROM run_config o
                          WHERE o.run_directory_id = l.run_directory_id
                            AND o.kind <> 'hydra-overrides'
                          ORDER BY o.rank, o.id LIMIT 1) THEN 1 ELSE 0 END AS chosen
FROM link l
JOIN run_directory d ON d.run_id = l.run_id AND d.joined_by IS NULL
JOIN run_config rc ON rc.run_directory_id = d.id
JOIN file f ON f.id = rc.file_id
WHERE l.checkpoint_id = :id AND l.verdict = 'linked'
UNION ALL
SELECT f.path, {file_state("f")}, rc.kind, rc.rank, rc.unresolved,
       CASE WHEN cd.tracker = 'hydra' THEN 'job folder' ELSE 'folder of ' || cd.tracker END, 0
FROM checkpoint_directory cd
JOIN run_directory d ON d.id = cd.run_directory_id
JOIN run_config rc ON rc.run_directory_id = d.id
JOIN file f ON f.id = rc.file_id
WHERE cd.checkpoint_id = :id
  AND NOT EXISTS (SELECT 1 FROM link l WHERE l.checkpoint_id = cd.checkpoint_id
                  AND l.verdict = 'linked' AND l.run_id = d.run_id
                  AND d.joined_by IS NULL)
UNION ALL
SELECT f.path, {file_state("f")}, s.kind, 0, s.unresolved, 'beside the checkpoint', 0
FROM migration m
JOIN sidecar s ON s.id = m.config_file_id
JOIN file f ON f.id = s.id
WHERE m.checkpoint_id = :id
UNION ALL
SELECT f.path, {file_state("f")}, 'hyper-parameters', 0, NULL, 'inside the checkpoint', 0
FROM checkpoint c
JOIN file f ON f.id = c.id
WHERE c.id = :id AND c.config_id IS NOT NULL
ORDER BY 7 DESC, 4, 1
"""  # noqa: S608 - from `file_state`
_METRICS = with_states(f"""
SELECT n.name AS metric, s.value, s.special, f.path AS file, {file_state("f")} AS file_state,
       (SELECT MIN(p.message) FROM problem p
        WHERE p.file_id = f.id AND p.resolved_ingest_id IS NULL
          AND p.code IN ({{GAPS}})) AS gap
FROM link l
JOIN run_directory own ON own.id = l.run_directory_id
-- Of a run that went on, the last of its lives.
JOIN run_directory d ON d.id = CASE WHEN own.life IS NULL THEN own.id ELSE (
    SELECT z.id FROM run_directory z
    WHERE z.run_id = l.run_id AND z.life IS NOT NULL ORDER BY z.life DESC LIMIT 1) END
JOIN metric_summary s ON s.run_directory_id = d.id
JOIN metric_name n ON n.id = s.metric_name_id
JOIN file f ON f.id = s.file_id
WHERE l.checkpoint_id = :id AND l.verdict = 'linked'
ORDER BY n.name, s.id
""")  # noqa: S608 - from `file_state`
_SCORES = """
SELECT name, value, special, origin FROM checkpoint_score
WHERE checkpoint_id = :id ORDER BY origin, name
"""
_SIBLINGS = f"""
SELECT f.path, {file_state("f")} AS file_state, m.state, c.epoch, c.global_step, c.own_score
FROM link l
JOIN link o ON o.run_id = l.run_id AND o.verdict = 'linked' AND o.id <> l.id
JOIN checkpoint c ON c.id = o.checkpoint_id
JOIN file f ON f.id = c.id
LEFT JOIN migration m ON m.checkpoint_id = c.id
WHERE l.checkpoint_id = :id AND l.verdict = 'linked'
ORDER BY f.path
"""  # noqa: S608 - from `file_state`
_FOLDER = f"""
SELECT g.path, {file_state("g")} AS file_state, m.state, c.epoch, c.global_step, c.own_score
FROM file f
JOIN file g ON g.root_id = f.root_id AND g.id <> f.id
JOIN checkpoint c ON c.id = g.id
LEFT JOIN migration m ON m.checkpoint_id = c.id
WHERE f.id = :id AND SUBSTR(g.path, 1, LENGTH(CAST(:folder AS TEXT))) = CAST(:folder AS TEXT)
  AND (CAST(:folder AS TEXT) <> '' OR g.path NOT LIKE '%/%')  -- the root's folder is all of it
ORDER BY g.path
"""  # noqa: S608 - from `file_state`
_COPIES = f"""
SELECT r.path AS root, g.path, {file_state("g")} AS file_state, g.state, g.modified_at,
       copy.equality
FROM (SELECT o.id, CASE WHEN o.weights_sha256 = c.weights_sha256 THEN 'verified'
                        ELSE 'stated' END AS equality
      FROM checkpoint c
      JOIN checkpoint o ON o.weights_fingerprint = c.weights_fingerprint AND o.id <> c.id
      WHERE c.id = :id AND c.damage IS NULL AND o.damage IS NULL
        AND COALESCE(o.weights_sha256 = c.weights_sha256, TRUE)  -- bytes outdo what is stated
      UNION ALL
      SELECT o.id, 'verified'
      FROM checkpoint c
      JOIN checkpoint o ON o.weights_sha256 = c.weights_sha256 AND o.id <> c.id
      WHERE c.id = :id AND c.damage IS NULL AND o.damage IS NULL
        AND COALESCE(o.weights_fingerprint <> c.weights_fingerprint, TRUE)) copy
JOIN file g ON g.id = copy.id
JOIN root r ON r.id = g.root_id
JOIN file s ON s.id = :id
JOIN root t ON t.id = s.root_id
-- What another host saw at the same path is the same file.
WHERE r.host = t.host OR g.size <> s.size OR g.mtime_ns <> s.mtime_ns OR g.inode <> s.inode
   OR RTRIM(r.path, '/') || '/' || g.path <> RTRIM(t.path, '/') || '/' || s.path
"""  # noqa: S608 - from `file_state`
_MOVES = """
SELECT r.path AS root, f.path, f.missing_ingest_id AS ingest, m.moved_from_id AS id,
       CASE WHEN o.weights_sha256 = c.weights_sha256 THEN 'verified' ELSE 'stated' END AS equality
FROM checkpoint_move m
JOIN file f ON f.id = m.moved_from_id
JOIN root r ON r.id = f.root_id
JOIN checkpoint c ON c.id = m.checkpoint_id
JOIN checkpoint o ON o.id = m.moved_from_id
WHERE m.checkpoint_id = :id AND f.missing_ingest_id IS NOT NULL  -- else it is back
  AND COALESCE(o.weights_sha256 = c.weights_sha256, TRUE)
"""
_MOST_MOVES = 100
_EVENTS = """
SELECT at, from_state, to_state, reason, ingest_id AS ingest, recovery_id AS recovery
FROM migration_event WHERE checkpoint_id = :id ORDER BY id
"""
_PROBLEMS = """
SELECT p.code, p.message, NULL AS file FROM problem p
WHERE p.file_id = :id AND p.resolved_ingest_id IS NULL
ORDER BY p.id
"""
_PROBLEMS_OF_RUN = f"""
SELECT DISTINCT p.code, p.message, p.path AS file
FROM link l
JOIN problem p ON p.file_id IN ({TELLING_FILES.format(run="l.run_id")})
JOIN file f ON f.id = p.file_id AND f.state <> 'missing'
WHERE l.checkpoint_id = :id AND l.verdict = 'linked' AND p.resolved_ingest_id IS NULL
  AND p.file_id <> :id
ORDER BY p.path, p.code
"""  # noqa: S608 - from above


@dataclass(frozen=True, slots=True)
class Trace:
    """One checkpoint's provenance; every member holds rows of plain values."""

    checkpoint: Record
    """Its row in the view `checkpoint_trace`, and why it cannot be used, where so."""
    candidates: list[Record]
    """Runs that may have written it, the best first, each with its `evidence`."""
    places: list[Record]
    """Runs of any tracker in whose folders it lies, the nearest folder first: that is where it is,
    and no proof of who wrote it."""
    configs: list[Record]
    """Every config that is stated for it; the one to believe is `chosen`."""
    metrics: list[Record]
    """The run's summary values; the metric that the checkpoint watched comes first. `gap` says why
    the history behind one may not be whole."""
    scores: list[Record]
    """Numbers inside the checkpoint."""
    siblings: list[Record]
    """Other checkpoints of its run or, where that is not known, below its folder."""
    copies: list[Record]
    """Files with equal weights; `equality` is verified where the bytes of both were read, else
    both files state it."""
    moves: list[Record]
    """Where it was before, the latest place first; `equality` as in `copies`."""
    events: list[Record]
    """How its state changed, the oldest first."""
    problems: list[Record]
    """What could not be read of it, and of the files that tell of its run: these have a `file`."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return asdict(self)

    def evidence(self) -> Rows:
        """Return every piece of evidence as a row, with the run that it is about."""
        return Rows(
            ("run", "verdict", "score", "kind", "weight", "detail", "file", "file_state"),
            [
                (
                    candidate["run"],
                    candidate["verdict"],
                    candidate["score"],
                    piece["kind"],
                    piece["weight"],
                    piece["detail"],
                    piece["file"],
                    piece["file_state"],
                )
                for candidate in self.candidates
                for piece in candidate["evidence"]
            ],
        )


def trace(reader: Reader, text: str, host: str | None = None) -> Trace:
    """Return everything that is known of one checkpoint.

    Args:
        reader: an open catalog.
        text: see `catalog.query.find.find_checkpoint`.
        host: the same.

    Raises:
        NotFound: no checkpoint fits.
        Ambiguous: several fit.
    """
    number = find_checkpoint(reader, text, host)

    def rows(sql: str, **more: str) -> list[Record]:
        return reader.run(sql, {"id": number, **more}).dicts()

    checkpoint = rows(_CHECKPOINT)[0]
    candidates = rows(_CANDIDATES)
    evidence = rows(_EVIDENCE)
    for candidate in candidates:
        link = candidate.pop("link")
        candidate["evidence"] = [
            {key: value for key, value in piece.items() if key != "link"}
            for piece in evidence
            if piece["link"] == link
        ]
    watched = checkpoint["monitor"]
    folder = checkpoint["path"].rpartition("/")[0]
    return Trace(
        checkpoint=checkpoint,
        candidates=candidates,
        places=sorted(rows(_PLACES), key=lambda row: (-len(row["run_directory"]), row["tracker"])),
        configs=rows(_CONFIGS),
        metrics=sorted(rows(_METRICS), key=lambda row: row["metric"] != watched),
        scores=rows(_SCORES),
        siblings=(
            rows(_SIBLINGS)
            if checkpoint["verdict"] == "linked"
            else rows(_FOLDER, folder=f"{folder}/" if folder else "")
        ),
        copies=sorted(rows(_COPIES), key=lambda row: (row["root"], row["path"])),
        moves=_moves(reader, number),
        events=rows(_EVENTS),
        problems=rows(_PROBLEMS) + rows(_PROBLEMS_OF_RUN),
    )


def _moves(reader: Reader, number: int) -> list[Record]:
    found: list[Record] = []
    while len(found) < _MOST_MOVES:
        rows = reader.run(_MOVES, {"id": number}).dicts()
        if not rows:
            break
        number = rows[0].pop("id")
        found.append(rows[0])
    return found
