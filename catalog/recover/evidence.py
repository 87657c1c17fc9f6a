"""The rows behind recovery: which files state a config for which checkpoint."""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, select

from catalog.recover.doubts import Doubts, Written
from catalog.recover.policy import sidecar_stem
from catalog.schema.job_folders import shared_job_folders
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    ArchitectureTensor,
    Checkpoint,
    CheckpointDirectory,
    Config,
    File,
    Link,
    RecoveryFile,
    Root,
    Run,
    RunConfig,
    RunDirectory,
    RunField,
    Sidecar,
)
from catalog.sources.hydra_commands import JobStart, compare
from catalog.sources.interpolation import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, Select

    from catalog.schema.store import AnyRow
    from catalog.settings import Settings

Shapes = dict[str, tuple[int, ...]]

_JOB_CONFIG = "hydra-config"
_SEVERAL_JOBS = "The run went through several jobs: its config is that of one of them."
_WHOLE_TREE = "The job folder is the whole tree: its config tells of the last job only."


@dataclass(frozen=True, slots=True)
class Stated:
    """A file that states a config."""

    kind: str
    config_id: int
    file_id: int
    path: str
    """Of that file, below its root."""
    refusal: str = ""
    """Why it must not be used for this checkpoint, whatever it says."""
    written: Written | None = None
    """When that file was written, of a Hydra job's config."""


@dataclass(frozen=True, slots=True)
class _Linked:
    run_id: int
    folder_id: int


@dataclass(frozen=True, slots=True)
class _Job:
    folder: str
    started: JobStart
    stated: Stated | None


class _Weights(NamedTuple):
    """What is known of a checkpoint's weights."""

    stated: str | None
    """Fingerprint, as the file states it."""
    verified: str | None
    """SHA-256 of their bytes."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is needed of a checkpoint."""

    stem: tuple[str, str]
    path: str
    written: Written
    config_id: int | None
    weights: _Weights | None
    """None where they are damaged, or nothing is known of them."""
    architecture_id: int | None
    safety: str | None


_Beside = dict[int, tuple[int, Stated]]
"""By config: a checkpoint and its sidecar."""


class Evidence:
    """What the catalog knows of configs, by checkpoint."""

    def __init__(
        self, connection: Connection, settings: Settings, only: Collection[int] | None = None
    ) -> None:
        """Load it all, or what is known of some checkpoints.

        Args:
            connection: the database.
            settings: `sidecar_suffixes`.
            only: the checkpoints, with all that share their runs, jobs or weights.
        """
        self._connection = connection
        self.doubts = Doubts(connection)
        self._only = only
        self._suffixes = settings.sidecar_suffixes
        self._documents: dict[int, dict[str, Any]] = {}
        self._missing: set[int] = set()  # files that state configs and are gone
        self._checkpoints = self._load_checkpoints()
        self._links, self._ambiguous = self._load_links()
        self._runs = None if only is None else {one.run_id for one in self._links.values()}
        self._identities, self._arguments = self._load_runs()
        self._of_run, self._of_folder = self._load_configs()
        self._whole_trees = shared_job_folders(connection)
        self._jobs, self._runs_of_job = self._load_jobs()
        self._jobs_of_folder: dict[_Linked, set[int]] = defaultdict(set)
        for number, job in self._runs_of_job[0].items():
            if number in self._links:
                self._jobs_of_folder[self._links[number]].add(job)
        self._beside = self._load_sidecars()
        self._of_folder_mates: dict[_Linked, _Beside] = defaultdict(dict)
        self._of_equals: dict[_Weights, _Beside] = defaultdict(dict)
        self._verified: dict[str, set[str]] = defaultdict(set)  # by what is stated
        self._gather_sidecars()

    def document(self, config_id: int) -> dict[str, Any]:
        """Return a config's document, references within it resolved."""
        if config_id not in self._documents:
            self.load_documents((config_id,))
        return self._documents[config_id]

    def load_documents(self, config_ids: Iterable[int]) -> None:
        """Load the documents of many configs, in few queries, as far as they are not there yet."""
        table = table_of(Config)
        for part in chunks(sorted(set(config_ids) - self._documents.keys())):
            for number, text in fetched(
                self._connection, select(table.c.id, table.c.document).where(table.c.id.in_(part))
            ):
                document = json.loads(text)
                self._documents[number] = resolve(document) if "${" in text else document

    def stated_configs(self, checkpoint_id: int) -> Iterator[int]:
        """Yield the configs that are stated for a checkpoint, but for those beside others."""
        linked = self._links.get(checkpoint_id)
        if linked is not None:
            yield from (one.config_id for one in self._of_run.get(linked.run_id, ()))
            job = self._jobs.get(self._runs_of_job[0].get(checkpoint_id, 0))
            if job is not None and job.stated is not None:
                yield job.stated.config_id
        own = self._checkpoints[checkpoint_id].config_id
        if own is not None:
            yield own

    def architecture(self, checkpoint_id: int) -> int | None:
        """Return the number of the checkpoint's architecture."""
        return self._checkpoints[checkpoint_id].architecture_id

    def shapes(self, architecture_id: int) -> Shapes:
        """Return the shapes of an architecture's tensors by name."""
        table = table_of(ArchitectureTensor)
        return {
            name: tuple(json.loads(shape))
            for name, shape in self._connection.execute(
                select(table.c.name, table.c.shape).where(
                    table.c.architecture_id == architecture_id
                )
            )
        }

    def is_linked(self, checkpoint_id: int) -> bool:
        """Say whether exactly one run is held to have written the checkpoint."""
        return checkpoint_id in self._links

    def ambiguous(self, checkpoint_id: int) -> int:
        """Return how many runs fit the checkpoint equally well."""
        return self._ambiguous.get(checkpoint_id, 0)

    def run_identity(self, checkpoint_id: int) -> str | None:
        """Return the identity of the linked run."""
        linked = self._links.get(checkpoint_id)
        return self._identities[linked.run_id] if linked else None

    def is_unsafe(self, checkpoint_id: int) -> bool:
        """Say whether `torch.load(weights_only=True)` refuses the checkpoint."""
        return self._checkpoints[checkpoint_id].safety not in (None, "plain")

    def hyper_parameters(self, checkpoint_id: int) -> Stated | None:
        """Return the config inside a checkpoint."""
        known = self._checkpoints[checkpoint_id]
        if known.config_id is None:
            return None
        return Stated("hyper-parameters", known.config_id, checkpoint_id, known.path)

    def stated(self, checkpoint_id: int) -> Iterator[Stated]:
        """Yield all that is stated for a linked checkpoint, in the order of belief."""
        linked = self._links[checkpoint_id]
        known_of_run = self._of_run.get(linked.run_id, ())
        there = {
            (one.kind, one.config_id) for one in known_of_run if one.file_id not in self._missing
        }
        recorded = sorted(
            known_of_run,
            key=lambda one: (
                # Of a run folder that was moved, the place where it lies now can be looked at.
                one.file_id in self._missing and (one.kind, one.config_id) in there,
                # The folder that wrote it comes first: a resumed run may have changed its config.
                self._of_folder[one.file_id] != linked.folder_id,
            ),
        )
        job = self._job(checkpoint_id, linked)
        doubt = _SEVERAL_JOBS if len(self._jobs_of_folder[linked]) > 1 else ""
        for one in recorded:
            if one.kind != _JOB_CONFIG:
                yield replace(one, refusal=doubt) if doubt else one
        if job is not None:
            yield job
        for one in recorded:
            if one.kind == _JOB_CONFIG and (job is None or one.file_id != job.file_id):
                is_whole = self._of_folder[one.file_id] in self._whole_trees
                yield replace(one, refusal=_WHOLE_TREE if is_whole else "")
        inside = self.hyper_parameters(checkpoint_id)
        if inside is not None:
            yield inside
        known = self._checkpoints[checkpoint_id]
        others = [("sibling", self._of_folder_mates.get(linked, {}))]
        others += [
            ("equal-weights", self._of_equals.get(equal, {}))
            for equal in self._equals(known.weights)
        ]
        for kind, sidecars in others:
            for owner, beside in sidecars.values():
                if owner != checkpoint_id:
                    yield replace(beside, kind=kind)

    def own_statements(self, checkpoint_id: int) -> Iterator[Stated]:
        """Yield what the checkpoint and its run state, but for files that a job writes over."""
        inside = self.hyper_parameters(checkpoint_id)
        if inside is not None:
            yield inside
        linked = self._links.get(checkpoint_id)
        if linked is not None and len(self._jobs_of_folder[linked]) < 2:
            for one in self._of_run.get(linked.run_id, ()):
                if one.kind != _JOB_CONFIG and self._of_folder[one.file_id] == linked.folder_id:
                    yield one

    def _equals(self, weights: _Weights | None) -> Iterator[_Weights]:
        """Yield under which keys checkpoints of equal weights are known, the verified ones first.

        What is stated counts where the bytes of one side were not read; but not where those of
        others show that it is stated of different weights.
        """
        if weights is None:
            return
        stated, verified = weights
        if verified is not None:
            yield _Weights(None, verified)
        among = self._verified.get(stated, set()) if stated is not None else set()
        if stated is None or len(among) > 1:
            return
        yield _Weights(stated, None)
        if verified is None:
            yield from (_Weights(None, one) for one in sorted(among))

    def _gather_sidecars(self) -> None:
        """Note which sidecars lie beside checkpoints of one folder, or of equal weights.

        Of those with the same content one is enough, however many copies there are.
        """
        for number, known in self._checkpoints.items():
            if known.weights is not None and None not in known.weights:
                stated, verified = known.weights
                self._verified[stated or ""].add(verified or "")
            for beside in self._beside.get(known.stem, ()):
                linked = self._links.get(number)
                if linked is not None:
                    self._of_folder_mates[linked].setdefault(beside.config_id, (number, beside))
                if known.weights is not None:
                    stated, verified = known.weights
                    key = _Weights(None, verified) if verified else _Weights(stated, None)
                    self._of_equals[key].setdefault(beside.config_id, (number, beside))

    def _job(self, checkpoint_id: int, linked: _Linked) -> Stated | None:
        """Return the config of the job folder, refused where it may tell of another run.

        A second run into the same folder overwrites `.hydra/`, and with `hydra.run.dir: .` the
        folder is the project's and describes the last job only.
        """
        number = self._runs_of_job[0].get(checkpoint_id)
        job = self._jobs.get(number) if number is not None else None
        if job is None or job.stated is None or number is None:
            return None
        refusal = ""
        if number in self._whole_trees:
            refusal = _WHOLE_TREE
        elif self._runs_of_job[1][number] != {linked.run_id}:
            refusal = f"{job.folder} holds checkpoints of several runs."
        elif compare(self._arguments.get(linked.run_id), job.started).verdict == "different":
            refusal = f"The overrides in {job.folder} are not the run's arguments."
        elif job.stated.written is not None:
            own = self._checkpoints[checkpoint_id].written
            refusal = self.doubts.later_job(own, job.stated.written)
        return replace(job.stated, refusal=refusal)

    def _load_checkpoints(self) -> dict[int, _Known]:
        table, files, roots = table_of(Checkpoint), table_of(File), table_of(Root)
        return {
            int(row.id): _Known(
                (row.host, sidecar_stem(posixpath.join(row.root, row.path))),
                row.path,
                Written(int(row.root_id), row.path, int(row.mtime_ns)),
                row.config_id,
                _weights(row.weights_fingerprint, row.weights_sha256, row.damage),
                row.architecture_id,
                row.safety,
            )
            for row in self._rows(
                table.c.id,
                self._only,
                select(
                    table.c.id,
                    table.c.config_id,
                    table.c.weights_fingerprint,
                    table.c.weights_sha256,
                    table.c.damage,
                    table.c.architecture_id,
                    # What torch loads by default, safe loading does not refuse.
                    case((table.c.loads_by_default == "yes", "plain"), else_=table.c.safety).label(
                        "safety"
                    ),
                    files.c.path,
                    files.c.root_id,
                    files.c.mtime_ns,
                    roots.c.path.label("root"),
                    roots.c.host,
                )
                .join(files, files.c.id == table.c.id)
                .join(roots, roots.c.id == files.c.root_id)
                .order_by(table.c.id),
            )
        }

    def _rows(
        self,
        column: ColumnElement[Any],
        wanted: Collection[Any] | None,
        query: Select[*tuple[Any, ...]],
    ) -> Iterator[AnyRow]:
        """Yield the rows of a query whose column is one of some values; all without any."""
        if wanted is None:
            yield from fetched(self._connection, query)
            return
        for part in chunks(sorted(wanted)):
            yield from fetched(self._connection, query.where(column.in_(part)))

    def _load_links(self) -> tuple[dict[int, _Linked], dict[int, int]]:
        table = table_of(Link)
        links: dict[int, _Linked] = {}
        ambiguous: dict[int, int] = defaultdict(int)
        for checkpoint, run, folder, verdict in self._rows(
            table.c.checkpoint_id,
            self._only,
            select(
                table.c.checkpoint_id, table.c.run_id, table.c.run_directory_id, table.c.verdict
            ).where(table.c.verdict.in_(("linked", "ambiguous"))),
        ):
            if verdict == "linked":
                links[int(checkpoint)] = _Linked(int(run), int(folder))
            else:
                ambiguous[int(checkpoint)] += 1
        return links, ambiguous

    def _load_runs(self) -> tuple[dict[int, str], dict[int, str]]:
        """Return the identities of runs, and their arguments as JSON."""
        table = table_of(Run)
        identities: dict[int, str] = {}
        arguments: dict[int, str] = {}
        for number, identity, listed in self._rows(
            table.c.id, self._runs, select(table.c.id, table.c.identity, table.c.arguments)
        ):
            identities[int(number)] = identity
            if listed is not None:
                arguments[int(number)] = listed
        return identities, arguments

    def _load_configs(self) -> tuple[dict[int, list[Stated]], dict[int, int]]:
        stated, folders, files = table_of(RunConfig), table_of(RunDirectory), table_of(File)
        found: dict[int, list[Stated]] = defaultdict(list)
        folder_of: dict[int, int] = {}
        for run, folder, config, file_id, path, kind, state in self._rows(
            folders.c.run_id,
            self._runs,
            select(
                folders.c.run_id,
                folders.c.id,
                stated.c.config_id,
                stated.c.file_id,
                files.c.path,
                stated.c.kind,
                files.c.state,
            )
            .join(folders, folders.c.id == stated.c.run_directory_id)
            .join(files, files.c.id == stated.c.file_id)
            .where(
                folders.c.run_id.is_not(None),
                folders.c.joined_by.is_(None),
                stated.c.kind != "hydra-overrides",
            )
            .order_by(folders.c.run_id, stated.c.rank, files.c.path),
        ):
            found[int(run)].append(Stated(kind, int(config), int(file_id), path))
            folder_of[int(file_id)] = int(folder)
            if state != "present":
                self._missing.add(int(file_id))
        return found, folder_of

    def _load_jobs(self) -> tuple[dict[int, _Job], tuple[dict[int, int], dict[int, set[int]]]]:
        """Return jobs by folder; the job of each checkpoint, and the linked runs of each job."""
        inside, folders = table_of(CheckpointDirectory), table_of(RunDirectory)
        stated, files = table_of(RunConfig), table_of(File)
        of_checkpoint: dict[int, int] = {}
        runs: dict[int, set[int]] = defaultdict(set)
        for checkpoint, folder in self._rows(
            inside.c.checkpoint_id,
            self._only,
            select(inside.c.checkpoint_id, inside.c.run_directory_id).where(
                inside.c.tracker == "hydra"
            ),
        ):
            of_checkpoint[int(checkpoint)] = int(folder)
            linked = self._links.get(int(checkpoint))
            # A checkpoint of no known run may be another run's work as well.
            runs[int(folder)].add(linked.run_id if linked else -1)
        jobs: dict[int, _Job] = {}
        rows = list(
            self._rows(
                folders.c.id,
                None if self._only is None else runs.keys(),
                select(
                    folders.c.id,
                    folders.c.path,
                    stated.c.kind,
                    stated.c.config_id,
                    stated.c.file_id,
                    files.c.path,
                    files.c.root_id,
                    files.c.mtime_ns,
                )
                .join(stated, stated.c.run_directory_id == folders.c.id)
                .join(files, files.c.id == stated.c.file_id)
                .where(folders.c.tracker == "hydra")
                .order_by(folders.c.id, stated.c.id),
            )
        )
        started = self._load_starts(runs.keys())
        for folder, path, kind, config, file_id, file_path, root_id, mtime in rows:
            job = jobs.get(int(folder), _Job(path, started.get(int(folder), JobStart()), None))
            if kind == _JOB_CONFIG:
                written = Written(int(root_id), file_path, int(mtime))
                stated_by = Stated(kind, int(config), int(file_id), file_path, written=written)
                job = replace(job, stated=stated_by)
            jobs[int(folder)] = job
        return jobs, (of_checkpoint, runs)

    def _load_starts(self, folders: Collection[int]) -> dict[int, JobStart]:
        """Return how the jobs of folders were started."""
        table, files = table_of(RunField), table_of(File)
        names = tuple(field.name for field in fields(JobStart))
        stated: dict[int, dict[str, str]] = defaultdict(dict)
        for folder, name, value in self._rows(
            table.c.run_directory_id,
            folders,
            select(table.c.run_directory_id, table.c.name, table.c.value)
            .join(files, files.c.id == table.c.file_id)
            .where(table.c.name.in_(names))
            .order_by(table.c.rank, files.c.path, table.c.position),
        ):
            stated[int(folder)].setdefault(name, value)
        return {folder: JobStart(**known) for folder, known in stated.items()}

    def _load_sidecars(self) -> dict[tuple[str, str], list[Stated]]:
        """Return the configs that lie under a checkpoint's own stem, but for those we wrote."""
        table, files = table_of(Sidecar), table_of(File)
        roots, journal = table_of(Root), table_of(RecoveryFile)
        ours = {
            (int(root), path)
            for root, path in self._connection.execute(
                select(journal.c.root_id, journal.c.path).where(journal.c.state == "written")
            )
        }
        folders = {posixpath.dirname(known.path) or "." for known in self._checkpoints.values()}
        rows = self._rows(
            table.c.directory,
            None if self._only is None else folders,
            select(
                table.c.id,
                table.c.config_id,
                files.c.path,
                files.c.root_id,
                roots.c.path.label("root"),
                roots.c.host,
            )
            .join(files, files.c.id == table.c.id)
            .join(roots, roots.c.id == files.c.root_id)
            .where(table.c.kind.in_(("sidecar", "sidecar-resolved", "sidecar-yaml")))
            .where(files.c.state == "present"),
        )
        found: dict[tuple[str, str], list[Stated]] = defaultdict(list)
        for row in sorted(rows, key=attrgetter("id")):
            if (int(row.root_id), row.path) in ours:
                continue
            path = posixpath.join(row.root, row.path)
            for suffix in self._suffixes:
                if path.endswith(suffix):
                    stated = Stated("sidecar", int(row.config_id), int(row.id), row.path)
                    found[row.host, path.removesuffix(suffix)].append(stated)
        return found


def _weights(stated: str | None, verified: str | None, damage: str | None) -> _Weights | None:
    if damage is not None or (stated is None and verified is None):
        return None
    return _Weights(stated, verified)
