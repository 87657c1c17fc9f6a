"""What a reader says about one item on disk: plain data that is never changed, nothing else.

`Facts` is the only thing that passes from `sources` to `ingest`. Every reader fills
the fields that it knows and leaves the rest empty; a value that the file does not
state stays `None`. Facts pickle cheaply, since readers may run in other processes.

Times are kept in two forms: `Moment.utc` is ISO 8601 in UTC with six decimals and a
`Z`, and `Moment.raw` is the text that was read.
"""

from __future__ import annotations

from dataclasses import field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as fact
else:
    from dataclasses import dataclass

    def fact(*, frozen, slots):
        """Return what makes a class of facts: frozen for the type checker, which sees every use.

        One that is frozen while the program runs takes three times as long to make, and each fact
        is made twice: where it is read, and again in the process that writes.
        """
        return dataclass(unsafe_hash=frozen, slots=slots)


Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON can say (with NaN and infinities as Python floats)."""

ZoneBasis = Literal["stated", "inferred", "assumed"]
CheckpointStatus = Literal[
    "readable",  # its directory and skeleton were read
    "recognised",  # the format is known, the content is not read, or not all that decides
    "truncated",  # the end is missing
    "empty",  # zero bytes
    "pointer",  # a Git LFS pointer stands in its place
    "foreign",  # other data under a checkpoint's name
    "unreadable",  # permission, input/output error, or damage other than a cut end
]


class _Sent:
    """What is sent between processes: its class and its values in order, and nothing else.

    A dataclass with slots is otherwise pickled by asking for the names of its fields each time,
    which takes longer than reading a small file.
    """

    __slots__: tuple[str, ...] = ()
    _values: ClassVar[attrgetter[tuple[Any, ...]]]

    def __init_subclass__(cls) -> None:
        if len(cls.__slots__) > 1:  # `dataclass` makes each class twice, first without slots
            cls._values = attrgetter(*cls.__slots__)

    def but(self, **changes: Any) -> Self:
        """Return a copy with some values changed: `dataclasses.replace`, three times as fast."""
        values = dict(zip(self.__slots__, self._values(self), strict=True))
        values |= changes
        return type(self)(*values.values())

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self._values(self)


@fact(frozen=True, slots=True)
class Moment(_Sent):
    """A point in time as a file states it."""

    raw: str
    utc: str | None = None
    zone: str | None = None
    """Offset such as `+09:00`, or `Z`, in which `raw` was read."""
    basis: ZoneBasis | None = None
    """Whether that zone was stated by the source, inferred from others, or assumed."""


@fact(frozen=True, slots=True)
class Problem(_Sent):
    """Something that could not be read or understood; never an exception.

    `code` is a short kebab-case noun that scripts can count (`truncated-stream`), `message` a
    sentence that names what is wrong and, where there is one, what to try. The file itself is
    known to the caller and is not repeated.
    """

    code: str
    message: str


class Tensor(NamedTuple):
    """One tensor's entry in a checkpoint, without its numbers."""

    name: str
    dtype: str
    """torch's short name: `float32`, `bfloat16`, `int64`, ..."""
    shape: tuple[int, ...]
    shares: int | None = None
    """Place, in the checkpoint's list, of the first tensor that is the same numbers (tied weights:
    one storage, offset and shape)."""


@fact(frozen=True, slots=True)
class Score(_Sent):
    """A named number that a checkpoint carries, and where inside it stands."""

    name: str
    value: float
    origin: str
    """Path inside the checkpoint, e.g. `cleval_metrics` or `callbacks`."""


@fact(frozen=True, slots=True)
class DefaultLoad(_Sent):
    """Whether `torch.load(file)` accepts a file as it is: weights only, the default since 2.6."""

    accepted: Literal["yes", "no", "unknown"]
    torch: str
    """Version of torch whose rules were applied."""
    reason: str | None = None
    """A sentence, wherever it is not accepted."""
    remedy: str | None = None
    """What to run, wherever it is not accepted."""


@fact(frozen=True, slots=True)
class Checkpoint(_Sent):
    """One saved model: a file, or a directory whose parts belong together."""

    format: str
    """`torch-zip`, `torch-legacy`, `safetensors`, `hf-trainer`, `tf-checkpoint`, `keras-h5`, ..."""
    status: CheckpointStatus
    reason: str | None = None
    """A sentence, wherever the status is not `readable`."""
    framework: str | None = None
    """`lightning`, `transformers`, `torch`, `ultralytics`, ..."""
    framework_version: str | None = None
    epoch: int | None = None
    global_step: int | None = None
    hyper_parameters: dict[str, Plain] | None = None
    monitor: str | None = None
    """The metric that the checkpoint callback watched, e.g. `val/hmean`."""
    monitor_mode: Literal["min", "max"] | None = None
    best_score: float | None = None
    """Best of the run so far when the file was written (Lightning's `best_model_score`)."""
    own_score: float | None = None
    """This file's own score (`current_score`, or `best_k_models` at its own path)."""
    best_path: str | None = None
    last_path: str | None = None
    directory: str | None = None
    """The folder that the checkpoint remembers being written to (`dirpath`, `output_dir`)."""
    scores: tuple[Score, ...] = ()
    best_k: tuple[tuple[str, float], ...] = ()
    """(path, score) of the k best files, as the callback listed them."""
    tensors: tuple[Tensor, ...] = ()
    has_other_weights: bool = False
    """Whether there are weights in a form that is not understood: `tensors` are not all of them."""
    parameter_count: int | None = None
    """None where a part of the weights is not understood; `weights_doubt` says which."""
    tensor_bytes: int | None = None
    weights_fingerprint: str | None = None
    """Equal for equal weights, as the file states them: made without reading a tensor (CRC-32s of
    the zip directory). None where any storage outside training state is not in it."""
    weights_doubt: str | None = None
    """A sentence: why there is no fingerprint, or no count of parameters."""
    true_size: int | None = None
    """Bytes of the real content where the file is only a pointer to it."""
    true_sha256: str | None = None
    """SHA-256 of that content."""
    optimizers: tuple[str, ...] = ()
    """Classes or names, where the file states any."""
    schedulers: tuple[str, ...] = ()
    """The same of learning rate schedulers."""
    learning_rates: tuple[float, ...] = ()
    """Of each parameter group, as they were when the file was written."""
    safety: Literal["plain", "unknown", "dangerous"] | None = None
    """`plain` only if every global named in the pickle is on the allow-list."""
    globals: tuple[str, ...] = ()
    """`module.name` of every global in the pickle that is not on the allow-list."""
    bytes_read: int = 0
    every_global: tuple[str, ...] = ()
    """`module.name` of every global in the pickles of the file, sorted."""
    default_load: DefaultLoad | None = None
    """None for what torch does not load."""
    statements: dict[str, Plain] | None = None
    """What the file says of itself beside `hyper_parameters`, by the key that it stands under
    (`model_args`, `datamodule_hyper_parameters`, `git`, ...)."""


@fact(frozen=True, slots=True)
class RunDirectory(_Sent):
    """One folder on disk that tells of a run, as far as its name and place tell."""

    path: str
    """Relative to the root, `/` between parts; `.` for the root itself."""
    tracker: str
    """`wandb`, `hydra`, `lightning`, `tensorboard`, `transformers`, ..."""
    tracker_run_id: str | None = None
    mode: Literal["online", "offline"] | None = None
    stamp: str | None = None
    """Start as the folder's name states it, `YYYY-MM-DDTHH:MM:SS` without zone."""
    stamp_in_utc: bool = False
    """True where the tracker writes UTC in the name (W&B up to 0.9)."""
    copy_of_latest: bool = False
    """A real folder in place of W&B's `latest-run` link: it repeats another directory."""


@fact(frozen=True, slots=True)
class RunField(_Sent):
    """One thing that one file says of a run, e.g. `display_name`.

    The same field may be said by several files; `rank` orders them, the lowest wins, and the
    others stay visible.
    """

    name: str
    value: str
    rank: int
    moment: Moment | None = None
    """Set for fields that are times."""


@fact(frozen=True, slots=True)
class Config(_Sent):
    """One configuration document, unwrapped to plain data."""

    kind: str
    """`wandb-config`, `wandb-stream`, `wandb-debug-log`, `hydra-config`, `hydra-overrides`,
    `sidecar`, `sidecar-yaml`, `sidecar-resolved`, `metadata`, `hparams`, `config-file`."""
    document: dict[str, Plain]
    rank: int = 0
    """Which one to believe where several of one run disagree: the lowest wins."""
    unresolved: tuple[str, ...] = ()
    """Dotted keys whose value still holds `${...}`."""


@fact(frozen=True, slots=True)
class Series(_Sent):
    """The history of one metric of a run; the three lists have the same length.

    Series that were logged together share the very objects `steps` and `times`: they are then
    stored once.
    """

    name: str
    steps: tuple[int | None, ...]
    values: tuple[float, ...]
    """NaN and infinities are values like others."""
    times: tuple[float | None, ...]
    """Seconds since the epoch, UTC."""


@fact(frozen=True, slots=True)
class Summary(_Sent):
    """One summary value of a run (W&B's last value unless told otherwise)."""

    name: str
    value: float


@fact(frozen=True, slots=True)
class MetricDefinition(_Sent):
    """What a tracker was told of a metric (W&B's `define_metric`)."""

    name: str
    step_metric: str | None = None
    """The metric on its x-axis, where it is not the step."""
    goal: Literal["min", "max"] | None = None
    """Which values are better."""
    summary: str | None = None
    """What its summary holds: `min`, `max`, `mean`, `best`, `last`, `first`, `none`, `copy`."""


@fact(frozen=True, slots=True)
class Mention(_Sent):
    """A path, id or digest that a file names and that may tie it to another.

    Roles: `output-dir`, `checkpoint-path`, `restored-from`, `run-id`, `artifact-digest`,
    `config-path`, `log-line` (a line with a millisecond stamp, shortened to its hash), ...
    """

    role: str
    text: str


@fact(frozen=True, slots=True)
class Facts(_Sent):
    """Everything that one item says."""

    checkpoint: Checkpoint | None = None
    run_directory: RunDirectory | None = None
    """The run directory that fields, configs, metrics and mentions below belong to."""
    fields: tuple[RunField, ...] = ()
    configs: tuple[Config, ...] = ()
    """With a run directory: of that run. Without: of the checkpoint(s) beside the file."""
    series: tuple[Series, ...] = ()
    summaries: tuple[Summary, ...] = ()
    definitions: tuple[MetricDefinition, ...] = ()
    mentions: tuple[Mention, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    parts: tuple[Facts, ...] = ()
    """Of a file that tells of several runs, such as a tracker's database: what it says of each."""
    bookmark: str | None = None
    """Of a file that still grows: what its reader needs to go on where it ended this time."""
    continues: bool = False
    """The series hold only what follows the points that were read up to `Item.bookmark`; all else
    is told anew."""


Kind = Literal["file", "directory", "link", "other"]


@fact(frozen=True, slots=True)
class Entry:
    """One name in a directory, with at most one stat behind it."""

    name: str
    kind: Kind
    """`link` for every symbolic link, `other` for FIFOs, sockets, devices."""
    size: int = 0
    """For a link to a file inside the root: of that file."""
    mtime_ns: int = 0
    inode: int = 0
    target: str | None = None
    """For a link: its text, as it stands."""
    link: Literal["inside", "outside", "dead"] | None = None
    """For a link: whether it leads to a file or folder inside the root. Only `inside` links to
    files may be opened, and a linked directory is never entered."""


@fact(frozen=True, slots=True)
class Listing:
    """One directory as the scan found it."""

    path: str
    """Relative to the root, `/` between parts; `.` for the root itself."""
    entries: tuple[Entry, ...]
    lister: Callable[[str], Listing | None] | None = None
    """Lists a directory in it, by the rules of the scan."""

    def below(self, name: str) -> Listing | None:
        """Return a directory in this one; it is listed when it is asked for.

        Returns:
            None for one that a scan does not enter, or that cannot be listed, and where so many
            were asked for that the rest is left alone.
        """
        return None if self.lister is None else self.lister(name)


@fact(frozen=True, slots=True)
class Item(_Sent):
    """Something that a reader knows how to read, and what tells whether it changed."""

    reader: str
    """Name of the reader in `catalog.sources.registry`."""
    path: str
    """Relative to the root; for a directory checkpoint the directory."""
    size: int
    """Bytes; for a directory checkpoint the sum over its parts."""
    mtime_ns: int
    """Modification time; for a directory checkpoint the newest of its parts."""
    inode: int = 0
    is_link: bool = False
    run_directory: str | None = None
    """Path of the run directory that the item belongs to, if its place tells."""
    parts: tuple[str, ...] = ()
    """For a directory checkpoint: the files that belong to it, by their paths below the directory
    (`unet/config.json`); those of a checkpoint that is named by a file share its directory."""
    bookmark: str | None = None
    """`Facts.bookmark` of the last reading, if what it told is still kept as it was."""
    format: str | None = None
    """For a directory checkpoint: the name of its `FolderFormat`, whose reader reads it."""
