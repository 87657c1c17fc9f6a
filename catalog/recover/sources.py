"""Every source that states a checkpoint's config, in the order in which they are believed.

1. what the linked run recorded: its `.wandb` stream, `config.yaml`, `debug.log` (by rank; the
   folder that wrote the checkpoint before the run's others);
2. the composed config of the Hydra job that the checkpoint lies in;
3. the hyper-parameters inside the checkpoint;
4. the sidecar of another checkpoint of the same run and folder;
5. the sidecar of a checkpoint with equal weights.

A section is always cut whole from one source, so that each of its values has one origin. Sources
further down are compared with it: a contradiction stops the recovery of that checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.errors import UsageError
from catalog.recover.compare import Difference, differences, is_mark, open_keys
from catalog.recover.content import holder_of
from catalog.recover.evidence import Evidence, Stated
from catalog.recover.policy import EMPTY
from catalog.sources.weights import contradiction, names_sizes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from catalog.recover.doubts import Written
    from catalog.settings import Settings

KINDS = (
    "wandb-stream",
    "wandb-config",
    "wandb-debug-log",
    "hydra-config",
    "hyper-parameters",
    "sibling",
    "equal-weights",
)
"""What `--prefer` takes, besides a part of a source file's path."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source that was looked at for one checkpoint."""

    stated: Stated
    sections: dict[str, Any]
    """The wanted sections; empty if it lacks one."""
    refusal: str
    """Why it cannot be used as it stands; empty if it can."""

    @property
    def usable(self) -> bool:
        """Whether a sidecar could be cut from it."""
        return not self.refusal


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sources that contradict each other on a wanted section."""

    one: Source
    other: Source
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        """Return a sentence with the first few values."""
        shown = "; ".join(str(part) for part in self.differences[:3])
        more = len(self.differences) - 3
        return (
            f"{self.one.stated.kind} ({self.one.stated.path}) and {self.other.stated.kind} "
            f"({self.other.stated.path}) disagree: {shown}{f' and {more} more' * (more > 0)}."
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The source to recover from, or why there is none."""

    source: Source | None
    code: str = ""
    reason: str = ""
    looked_at: tuple[Source, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()


def check_prefer(prefer: str | None) -> None:
    """Refuse a `--prefer` that can name nothing.

    Raises:
        UsageError: it is no kind of source and no part of a path.
    """
    if prefer is not None and prefer not in KINDS and not set("/.").intersection(prefer):
        raise UsageError(
            f"--prefer {prefer}: it takes {', '.join(KINDS)}, or a part of a source file's path."
        )


class Sources:
    """The sources of all checkpoints, or of some, loaded once and asked for by checkpoint."""

    def __init__(
        self, connection: Connection, settings: Settings, only: Collection[int] | None = None
    ) -> None:
        self._settings = settings
        self._evidence = Evidence(connection, settings, only)
        self._cut: dict[Stated, Source] = {}
        self._compared: dict[tuple[Stated, Stated], Disagreement | None] = {}
        self._sized: dict[int, bool] = {}
        self._contradictions: dict[tuple[int, int], str] = {}

    def document(self, config_id: int) -> dict[str, Any]:
        """Return a config's document."""
        return self._evidence.document(config_id)

    def load_documents(self, config_ids: Iterable[int], checkpoint_ids: Iterable[int]) -> None:
        """Load documents in few queries: some configs, and what is stated for checkpoints."""
        stated = (one for number in checkpoint_ids for one in self._evidence.stated_configs(number))
        self._evidence.load_documents({*config_ids, *stated})

    def find(self, checkpoint_id: int, prefer: str | None = None) -> Found:
        """Return the source to recover a checkpoint from, and all that were looked at.

        A source without a wanted section is passed over; one whose sections hold values that
        nothing on disk resolves is refused by name. Nothing is filled in, and nothing at all is
        taken for a checkpoint that is not linked to exactly one run.

        Args:
            checkpoint_id: the checkpoint.
            prefer: kind of the source, or a part of its file's path, that decides where sources
                disagree.
        """
        if not self._evidence.is_linked(checkpoint_id):
            return self._without_run(checkpoint_id)
        looked_at = tuple(self._cut_once(one) for one in self._evidence.stated(checkpoint_id))
        if not looked_at:
            return Found(None, "run-without-config", "Its run recorded no config on disk.")
        preferred = [one for one in looked_at if prefer and _is_named(one, prefer)]
        usable = [one for one in preferred or looked_at if one.usable]
        if not usable:
            reason = (preferred or looked_at)[0].refusal
            return Found(None, "run-config-incomplete", reason, looked_at)
        chosen = usable[0]
        against = tuple(self._against(chosen, looked_at))
        if against and not preferred:
            return Found(None, "sources-disagree", str(against[0]), looked_at, against)
        wrong = self.contradiction(checkpoint_id, chosen.stated.config_id)
        if wrong:
            reason = f"{chosen.stated.path} contradicts the weights: {wrong}"
            return Found(None, "config-contradicts-weights", reason, looked_at, against)
        return Found(chosen, looked_at=looked_at, disagreements=against)

    def contradiction(self, checkpoint_id: int, config_id: int) -> str:
        """Return what in a config cannot be true of the checkpoint's tensors; empty if nothing."""
        if config_id not in self._sized:
            self._sized[config_id] = names_sizes(self.document(config_id))
        architecture = self._evidence.architecture(checkpoint_id)
        if architecture is None or not self._sized[config_id]:
            return ""
        pair = (config_id, architecture)
        if pair not in self._contradictions:
            shapes = self._evidence.shapes(architecture)
            self._contradictions[pair] = contradiction(self.document(config_id), shapes)
        return self._contradictions[pair]

    def compared(self, checkpoint_id: int, config_id: int, file_id: int) -> str | None:
        """Compare a config with what the checkpoint or its run state themselves.

        Args:
            checkpoint_id: the checkpoint.
            config_id: a config that was found for it.
            file_id: the file of that config.

        Returns:
            Where they differ, a part of a sentence; empty where they say the same; None where
            nothing states the wanted sections.
        """
        document = self.document(config_id)
        for stated in self._evidence.own_statements(checkpoint_id):
            sections = self._cut_once(stated).sections
            if stated.file_id == file_id or not sections:
                continue
            for name in self._settings.config_sections:
                found = differences(document.get(name), sections[name], name)
                if found:
                    one = found[0]
                    return f"{one.key} is {one.one} there, and {one.other} in {stated.path}"
            return ""
        return None

    def later_job(self, checkpoint: Written, config: Written) -> str:
        """Return why a config is likely to be of a later job than a checkpoint; empty if not."""
        return self._evidence.doubts.later_job(checkpoint, config)

    def last_job(self, config: Written) -> str:
        """Return why a config is of the last of several jobs only; empty if it is not."""
        return self._evidence.doubts.last_job(config)

    def run_of(self, checkpoint_id: int) -> str | None:
        """Return the identity of the run that the checkpoint is linked to."""
        return self._evidence.run_identity(checkpoint_id)

    def unsafe_hyper_parameters(self, checkpoint_id: int) -> bool:
        """Say whether the wanted sections lie in a pickle that safe loading refuses."""
        stated = self._evidence.hyper_parameters(checkpoint_id)
        return (
            stated is not None
            and self._evidence.is_unsafe(checkpoint_id)
            and bool(self._cut_once(stated).sections)
        )

    def _without_run(self, checkpoint_id: int) -> Found:
        count = self._evidence.ambiguous(checkpoint_id)
        if count:
            return Found(None, "ambiguous-run", f"{count} runs fit this checkpoint equally well.")
        return Found(None, "no-run", "No W&B run is known to have written it.")

    def _cut_once(self, stated: Stated) -> Source:
        if stated not in self._cut:
            self._cut[stated] = self._source(stated)
        return self._cut[stated]

    def _source(self, stated: Stated) -> Source:
        document = self.document(stated.config_id)
        wanted = self._settings.config_sections
        holder = holder_of(document, wanted) if stated.kind == "hyper-parameters" else document
        for name in wanted:
            if name not in holder:
                return Source(stated, {}, f"{stated.path} has no section {name!r}.")
            if holder[name] in EMPTY:
                return Source(stated, {}, f"{stated.path} has nothing in its section {name!r}.")
            if not isinstance(holder[name], dict):
                return Source(
                    stated, {}, f"{stated.path} has a single value, no section, at {name!r}."
                )
        sections = {name: holder[name] for name in wanted}
        if stated.refusal:
            return Source(stated, {}, stated.refusal)
        left = [key for name in wanted for key in open_keys(sections[name], name)]
        if not left and self._settings.sidecar_shape == "whole":
            # `${...}` elsewhere is what the run recorded; our own marks are not.
            left = open_keys(document, "", without_value=is_mark)
        refusal = f"{stated.path} leaves {left[0]} unresolved." if left else ""
        return Source(stated, sections, refusal)

    def _against(self, chosen: Source, looked_at: Sequence[Source]) -> Iterator[Disagreement]:
        for other in looked_at:
            if other is chosen or not other.sections:
                continue
            pair = (chosen.stated, other.stated)
            if pair not in self._compared:
                found = [
                    part
                    for name in self._settings.config_sections
                    for part in differences(chosen.sections[name], other.sections[name], name)
                ]
                self._compared[pair] = Disagreement(chosen, other, tuple(found)) if found else None
            disagreement = self._compared[pair]
            if disagreement is not None:
                yield disagreement


def _is_named(source: Source, prefer: str) -> bool:
    return source.stated.kind == prefer or (prefer not in KINDS and prefer in source.stated.path)
