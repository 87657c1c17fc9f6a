"""One run on one page: where, when, how it ended, what it was set to, what it reached."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from catalog.errors import Ambiguous, NotFound
from catalog.query.find import COMPARED, near_it
from catalog.query.named import resolve
from catalog.query.rows import Rows, directory_state, file_state
from catalog.query.siblings import siblings

if TYPE_CHECKING:
    from catalog.query.connection import Reader

Record: TypeAlias = dict[str, Any]
"""One row: column to value."""

SPARKS = 40
"""Values that are taken of a history, evenly over its length."""
_CURVES = 6
_SIBLINGS = 50
"""Runs of the same project that a config is compared with: those that started nearest to it."""

_WAYS = (
    "u.tracker_run_id = CAST(:text AS TEXT)",
    "u.identity = CAST(:text AS TEXT)",
    # With its tracker alone, or as W&B's pages show it: ENTITY/PROJECT/ID.
    """(u.tracker || ':' || u.tracker_run_id = CAST(:text AS TEXT)
        OR u.identity = u.tracker || ':' || CAST(:text AS TEXT))""",
    """EXISTS (SELECT 1 FROM run_directory d JOIN root r ON r.id = d.root_id WHERE d.run_id = u.id
       AND (d.path = CAST(:text AS TEXT) OR r.path || '/' || d.path = CAST(:text AS TEXT)))""",
    "u.display_name = CAST(:text AS TEXT)",
    """EXISTS (SELECT 1 FROM run_directory d WHERE d.run_id = u.id
       AND REPLACE(d.path, CAST(:text AS TEXT), '') <> d.path)""",
)
"""From the strictest to the loosest; the first that finds something decides."""

_RUN = "SELECT * FROM run_overview WHERE run_number = :id"
_DIRECTORIES = f"""
SELECT r.path AS root, d.path, {directory_state("d")} AS directory_state,
       d.tracker, d.mode, d.started_at, d.ended_at, d.zone, d.zone_basis,
       d.joined_by, d.join_detail, d.life, d.beginning
FROM run_directory d JOIN root r ON r.id = d.root_id
WHERE d.run_id = :id
ORDER BY CASE WHEN d.joined_by IS NULL THEN 0 ELSE 1 END,
         CASE WHEN d.life IS NULL THEN 1 ELSE 0 END, d.life,
         CASE WHEN d.copy_of_latest THEN 1 ELSE 0 END, d.started_at, d.path, r.path
"""  # noqa: S608 - from `file_state`
_CONFIGS = f"""
SELECT f.path AS file, {file_state("f")} AS file_state,
       c.kind, c.rank, c.config_id, c.unresolved, d.tracker, r.path AS root
FROM run_config c
JOIN run_directory d ON d.id = c.run_directory_id
JOIN file f ON f.id = c.file_id
JOIN root r ON r.id = f.root_id
WHERE d.run_id = :id AND c.kind <> 'hydra-overrides'
ORDER BY CASE WHEN d.joined_by IS NULL THEN 0 ELSE 1 END, COALESCE(d.life, 0) DESC, c.rank, f.path,
         r.path
"""  # noqa: S608 - from `file_state`
_VALUES = """
SELECT d.run_id AS run, v.key, v.type, v.text
FROM run_config_chosen k
JOIN run_directory d ON d.id = k.run_directory_id AND d.joined_by IS NULL
JOIN config_value v ON v.config_id = k.config_id
WHERE d.run_id IN ({numbers})
ORDER BY d.run_id, COALESCE(d.life, 0), d.started_at, d.path, v.key
"""
_SERIES = """
SELECT n.name AS metric, x.points_id AS number, x.axis_id AS axis, x.in_file, x.points,
       x.replaced_from, x.reader, d.path AS run_directory,
       CASE WHEN d.life IS NULL THEN d.id ELSE 0 END AS own
FROM metric_life x
JOIN metric_name n ON n.id = x.metric_name_id
JOIN run_directory d ON d.id = x.run_directory_id
WHERE x.run_number = :id AND x.points > 0
ORDER BY n.name, CASE WHEN d.joined_by IS NULL THEN 0 ELSE 1 END,
         CASE WHEN d.life IS NULL THEN 1 ELSE 0 END, d.life, d.path, x.file,
         x.series_id
"""
_POINTS = """
SELECT p.value FROM metric_point p
LEFT JOIN metric_axis_point a ON a.axis_id = :axis AND a.position = p.position
WHERE p.series_id = :series AND p.position < :in_file AND p.position % :stride = 0
  AND (CAST(:cut AS BIGINT) IS NULL OR a.step IS NULL OR a.step < CAST(:cut AS BIGINT))
ORDER BY p.position
"""
_PROBLEMS = """
SELECT DISTINCT p.code, p.path, p.message
FROM ({telling}
      UNION
      SELECT f.id FROM run_directory d JOIN file f ON f.root_id = d.root_id AND f.path = d.path
      WHERE d.run_id = :id) own
JOIN problem p ON p.file_id = own.file_id AND p.resolved_ingest_id IS NULL
JOIN file f ON f.id = own.file_id AND f.state <> 'missing'
ORDER BY p.path, p.code
"""
TELLING_FILES = """
SELECT t.file_id FROM run_directory d
JOIN run_field t ON t.run_directory_id = d.id WHERE d.run_id = {run}
UNION
SELECT t.file_id FROM run_directory d
JOIN metric_series t ON t.run_directory_id = d.id WHERE d.run_id = {run}
UNION
SELECT t.file_id FROM run_directory d
JOIN run_config t ON t.run_directory_id = d.id WHERE d.run_id = {run}
UNION
SELECT t.id FROM run_directory d
JOIN file t ON t.root_id = d.root_id AND t.path = d.path || '/run-' || d.tracker_run_id || '.wandb'
WHERE d.run_id = {run}
"""
"""The files that tell of a run; a damaged one may have left nothing but its name."""
_CHECKPOINTS = """
SELECT t.path, t.presence, t.state, t.epoch, t.global_step, t.own_score, t.monitor,
       t.verdict, t.root
FROM (SELECT l.checkpoint_id AS id FROM link l WHERE l.run_id = :id AND l.verdict = 'linked'
      UNION
      SELECT cd.checkpoint_id FROM checkpoint_directory cd
      WHERE cd.run_directory_id IN (SELECT d.id FROM run_directory d WHERE d.run_id = :id)
      UNION
      SELECT f.id FROM run_directory d
      JOIN file f ON f.root_id = d.root_id AND f.path = d.path
      WHERE d.run_id = :id) own
JOIN checkpoint_trace t ON t.checkpoint_id = own.id
WHERE t.verdict <> 'linked'
   OR EXISTS (SELECT 1 FROM link l
              WHERE l.checkpoint_id = own.id AND l.run_id = :id AND l.verdict = 'linked')
ORDER BY CASE WHEN t.verdict = 'linked' THEN 0 ELSE 1 END, t.path, t.root
"""


@dataclass(frozen=True, slots=True)
class RunPage:
    """All that is known of one run."""

    run: Record
    directories: list[Record]
    configs: list[Record]
    differences: list[Record]
    """Keys whose value is not the one that most of its siblings have: `key, value, others,
    share` (how many of the siblings have the others' value)."""
    siblings: int
    """How many it was compared with; none where it, or each of them, has no config."""
    unclear_siblings: int
    """How many runs of a project of that name it was not compared with, for neither a repository
    nor the folder tells whether they are of the same one."""
    metrics: list[Record]
    curves: list[Record]
    """Of the main metrics: `metric, points, run_directory, values`, evenly taken from the history
    of all the run's lives."""
    checkpoints: list[Record]
    """Those that are linked to it, then those that lie in its folders and are linked to none."""
    problems: list[Record]
    """What could not be read of the files that tell of it, and still cannot: `code, path,
    message`."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def rows(self) -> Rows:
        """Return the metrics as rows."""
        columns = tuple(self.metrics[0]) if self.metrics else ("metric",)
        return Rows(columns, [tuple(row.values()) for row in self.metrics])


def run_page(reader: Reader, text: str) -> RunPage:
    """Return the page of the run that `text` means.

    Args:
        reader: an open catalog.
        text: its id, one of its folders or a part of one, or its display name.

    Raises:
        NotFound: no run fits.
        Ambiguous: several do.
    """
    number = find_run(reader, text)
    only = {"id": number}
    (run,) = reader.run(_RUN, only).dicts()
    checkpoints = reader.run(_CHECKPOINTS, only).dicts()
    differences, compared, unclear = _differences(reader, run)
    return RunPage(
        run=run,
        directories=reader.run(_DIRECTORIES, only).dicts(),
        configs=reader.run(_CONFIGS, only).dicts(),
        differences=differences,
        siblings=compared,
        unclear_siblings=unclear,
        metrics=reader.run(*resolve("metrics", {"run": _identity(reader, number)})).dicts(),
        curves=_curves(reader, number, {row["monitor"] for row in checkpoints}),
        checkpoints=checkpoints,
        problems=reader.run(
            _PROBLEMS.format(telling=TELLING_FILES.format(run=":id")), {"id": number}
        ).dicts(),
    )


def find_run(reader: Reader, text: str, *, exact: bool = False) -> int:
    """Return the number of the run that `text` means; see `run_page`.

    Args:
        reader: an open catalog.
        text: what a person typed.
        exact: a part of a folder's path is not enough.

    Raises:
        NotFound: no run fits.
        Ambiguous: several do.
    """
    wanted = text.strip().removeprefix("./").rstrip("/")
    for condition in (_WAYS[:-1] if exact else _WAYS) if wanted else ():
        found = reader.run(
            f"SELECT u.id, u.identity FROM run u WHERE {condition} ORDER BY u.identity",  # noqa: S608 - from above
            {"text": wanted},
            row_limit=6,
        ).rows
        if len(found) == 1:
            return int(found[0][0])
        if found:
            shown = ", ".join(str(identity) for _, identity in found[:5])
            more = " and others" if len(found) > 5 else ""
            raise Ambiguous(f"Several runs fit {text!r}; name one of them in full: {shown}{more}.")
    names = reader.run(
        "SELECT run FROM run_overview UNION SELECT display_name FROM run_overview"
        " WHERE display_name IS NOT NULL",
        row_limit=COMPARED,
    )
    known = [str(name) for (name,) in names.rows]
    hint = near_it(wanted, known, "`catalog query runs` lists them all.")
    raise NotFound(f"No run fits {text!r}. {hint}")


def _identity(reader: Reader, number: int) -> str:
    found = reader.run("SELECT identity FROM run WHERE id = :id", {"id": number})
    return str(found.rows[0][0])


def config_of(reader: Reader, numbers: list[int]) -> dict[int, dict[str, tuple[str, str | None]]]:
    """Return the flat config to believe of each run: dotted key to (type, text)."""
    found: dict[int, dict[str, tuple[str, str | None]]] = {number: {} for number in numbers}
    listed = ", ".join(str(int(number)) for number in numbers)
    for number, key, kind, text in reader.run(_VALUES.format(numbers=listed)).rows:
        # Of the folders of a resumed run the last one tells what it went on with.
        found[int(number)][str(key)] = (str(kind), text)
    return found


def _differences(reader: Reader, run: Record) -> tuple[list[Record], int, int]:
    number = int(run["run_number"])
    nearest, unclear = siblings(reader, run, _SIBLINGS)
    configs = config_of(reader, [number, *nearest])
    own = configs.pop(number)
    others = [config for config in configs.values() if config]
    if not own or not others:
        return [], 0, unclear  # nothing was compared
    rows = []
    for key in sorted(own.keys() | {key for config in others for key in config}):
        usual, share = Counter(config.get(key) for config in others).most_common(1)[0]
        if own.get(key) != usual:
            rows.append(
                {
                    "key": key,
                    "value": value_text(own.get(key)),
                    "others": value_text(usual),
                    "share": share,
                }
            )
    return rows, len(others), unclear


def last_value(row: Record) -> float | str | None:
    """Return where a metric ended: its summary, else the last value of its history.

    Args:
        row: of the query `metrics`.

    Returns:
        A number, or `nan`, `inf` or `-inf`.
    """
    stated = row["special"] or row["summary"]
    if stated is None:
        stated = row["last_special"] or row["final"]
    value: float | str | None = stated
    return value


def value_text(value: tuple[str, str | None] | None) -> str | None:
    """Return a flat config value as text; None where the key is missing."""
    if value is None:
        return None
    return "null" if value[0] == "null" else value[1]


def _curves(reader: Reader, number: int, monitored: set[str | None]) -> list[Record]:
    chosen: dict[str, list[Record]] = {}
    histories: dict[tuple[str, int, str], list[Record]] = {}
    for row in reader.run(_SERIES, {"id": number}).dicts():
        histories.setdefault((row["metric"], row["own"], row["reader"]), []).append(row)
    # The lives of a run come first, then its other folders, then those of other tools.
    for (metric, own, _), lives in histories.items():
        known = chosen.get(metric)
        longer = known is None or (own == known[0]["own"] and _points(lives) > _points(known))
        if _points(lives) > 1 and longer:
            chosen[metric] = lives
    curves = []
    for metric in sorted(chosen, key=lambda name: _rank(name, monitored))[:_CURVES]:
        lives = chosen[metric]
        stride = max(1, -(-_points(lives) // SPARKS))
        values = []
        for row in lives:
            of_life = {"series": row["number"], "in_file": row["in_file"], "stride": stride}
            of_life |= {"axis": row["axis"], "cut": row["replaced_from"]}
            values += [value for (value,) in reader.run(_POINTS, of_life).rows]
        if values:
            curves.append(
                {
                    "metric": metric,
                    "points": _points(lives),
                    "run_directory": lives[-1]["run_directory"],
                    "values": values,
                }
            )
    return curves


def _points(lives: list[Record]) -> int:
    return sum(row["points"] for row in lives)


def _rank(metric: str, monitored: set[str | None]) -> tuple[int, str]:
    """Order metrics: what a checkpoint watched, validation, test, losses, the rest, counters."""
    name = metric.lower()
    if metric in monitored:
        return 0, metric
    if any(word in name for word in ("epoch", "step", "lr", "learning_rate", "runtime")):
        return 5, metric
    for place, words in enumerate((("val", "eval"), ("test",), ("loss",)), start=1):
        if any(word in name for word in words):
            return place, metric
    return 4, metric
