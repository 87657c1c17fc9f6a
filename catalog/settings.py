"""Every setting, in one table: it feeds the command line, the docs and the tests."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias, get_type_hints

from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value: TypeAlias = "int | float | str | tuple[str, ...]"


class Settings(NamedTuple):
    """The settings of one call; each has a default and a sentence that says what it does.

    The sentences stand in the annotations, which nobody evaluates before they are asked for: a
    dataclass with them takes 2 ms of each start.
    """

    link_tolerance: Annotated[
        float, "Seconds that a run may start after the stamp of the folder a checkpoint lies in."
    ] = 120.0
    config_sections: Annotated[
        tuple[str, ...], "Sections that a config must have for inference to rebuild the model."
    ] = ("model",)
    sidecar_suffixes: Annotated[
        tuple[str, ...],
        "Endings of a config beside STEM.ckpt, in the order in which inference tries them.",
    ] = (".config.json", ".config.yaml", ".resolved.config.json")
    config_names: Annotated[
        tuple[str, ...],
        "Names of a config in the checkpoint's folder or one above it, tried next.",
    ] = ("config.yaml", "hparams.yaml", "train.yaml", "predict.yaml")
    hydra_levels: Annotated[
        int, "How many folders up inference looks for .hydra/config.yaml, tried last."
    ] = 2
    sidecar_shape: Annotated[
        str,
        'What recovery writes: sections ({"model": ...}), bare (the one section itself) or whole '
        "(the run's whole config).",
    ] = "sections"
    provenance: Annotated[
        str,
        "Where recovery writes down where a sidecar came from: beside (STEM.provenance.json) or "
        "inside (the sidecar's key _provenance).",
    ] = "beside"
    ignore: Annotated[
        tuple[str, ...],
        "Patterns in git's syntax of what an ingest leaves out, beside `.catalogignore` files.",
    ] = ()
    history: Annotated[
        str,
        "Points of metric histories that an ingest keeps of what it reads: full, last or none. "
        "Links that rest on a score in the middle of a history need full.",
    ] = "full"
    redaction: Annotated[
        str, "Whether what looks like a credential is kept out of the catalog: on or off."
    ] = "on"
    secret_keys: Annotated[
        tuple[str, ...],
        "Config keys that hold credentials, beside those that are known by their names.",
    ] = ()
    sql_time_limit: Annotated[float, "Seconds that one query may take."] = 5.0
    sql_row_limit: Annotated[
        int,
        "Rows that `Catalog.sql` returns before it stops. Changed, it also bounds `catalog sql`: a "
        "table is cut there, and what is written for programs ends there with an error.",
    ] = 10_000

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> Settings:
        """Return the defaults, changed by what `parse_values` reads."""
        return cls.of(parse_values(pairs))

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Settings:
        """Return the defaults with some values changed.

        Raises:
            UsageError: no such setting.
        """
        for name in values:
            default_of(name)
        return cls(**values)  # type: ignore[arg-type]


def parse_values(pairs: Iterable[str]) -> dict[str, Value]:
    """Read `name=value` texts as the command line gives them; lists are comma-separated.

    Raises:
        UsageError: no such setting, or a value of another type.
    """
    values: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair}: write it as NAME=VALUE.")
        values[name.strip()] = _parse(name.strip(), text)
    return values


class Setting(NamedTuple):
    """One line of the settings table."""

    name: str
    default: Value
    help: str


_CHOICES: dict[str, tuple[str, ...]] = {
    "history": ("full", "last", "none"),
    "redaction": ("on", "off"),
}
"""What a setting takes, where not any text will do."""
_DEFAULTS: Mapping[str, Value] = Settings._field_defaults


def all_settings() -> tuple[Setting, ...]:
    """Return the table of settings."""
    said = get_type_hints(Settings, include_extras=True)
    return tuple(
        Setting(name, default, said[name].__metadata__[0]) for name, default in _DEFAULTS.items()
    )


def default_of(name: str) -> Value:
    """Return the default of a setting.

    Raises:
        UsageError: no such setting; the text names the nearest.
    """
    if name not in _DEFAULTS:
        near = difflib.get_close_matches(name, _DEFAULTS, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else "`catalog settings` lists them all."
        raise UsageError(f"There is no setting {name!r}: {hint}")
    return _DEFAULTS[name]


def _parse(name: str, text: str) -> Value:
    default = default_of(name)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, str):
        if name in _CHOICES and text not in _CHOICES[name]:
            raise UsageError(f"{name}={text}: it takes {' or '.join(_CHOICES[name])}.")
        return text
    kind = type(default)
    try:
        number = kind(text)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"{name}={text}: it takes {wanted}.") from error
    if not number >= 0:  # NaN too
        raise UsageError(f"{name}={text}: it cannot be negative.")
    return number
