"""Every setting, in one table: it feeds the command line, the docs and the tests."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value: TypeAlias = "int | float | str | tuple[str, ...]"


def _setting(default: Value, help_text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one call; each has a default and a sentence that says what it does."""

    link_tolerance: float = _setting(
        120.0, "Seconds that a run may start after the stamp of the folder a checkpoint lies in."
    )
    config_sections: tuple[str, ...] = _setting(
        ("model",), "Sections that a config must have for inference to rebuild the model."
    )
    sidecar_suffixes: tuple[str, ...] = _setting(
        (".config.json", ".config.yaml", ".resolved.config.json"),
        "Endings of a config beside STEM.ckpt, in the order in which inference tries them.",
    )
    config_names: tuple[str, ...] = _setting(
        ("config.yaml", "hparams.yaml", "train.yaml", "predict.yaml"),
        "Names of a config in the checkpoint's folder or one above it, tried next.",
    )
    hydra_levels: int = _setting(
        2, "How many folders up inference looks for .hydra/config.yaml, tried last."
    )
    sidecar_shape: str = _setting(
        "sections",
        'What recovery writes: sections ({"model": ...}), bare (the one section itself) or whole '
        "(the run's whole config).",
    )
    provenance: str = _setting(
        "beside",
        "Where recovery writes down where a sidecar came from: beside (STEM.provenance.json) or "
        "inside (the sidecar's key _provenance).",
    )
    ignore: tuple[str, ...] = _setting(
        (), "Patterns in git's syntax of what an ingest leaves out, beside `.catalogignore` files."
    )
    history: str = _setting(
        "full",
        "Points of metric histories that an ingest keeps of what it reads: full, last or none. "
        "Links that rest on a score in the middle of a history need full.",
        choices=("full", "last", "none"),
    )
    redaction: str = _setting(
        "on",
        "Whether what looks like a credential is kept out of the catalog: on or off.",
        choices=("on", "off"),
    )
    secret_keys: tuple[str, ...] = _setting(
        (), "Config keys that hold credentials, beside those that are known by their names."
    )
    sql_time_limit: float = _setting(5.0, "Seconds that one query may take.")
    sql_row_limit: int = _setting(10_000, "Rows that `catalog sql` returns before it stops.")

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


_PLAIN = Settings()
SETTINGS = tuple(
    Setting(one.name, getattr(_PLAIN, one.name), one.metadata["help"]) for one in fields(Settings)
)

_CHOICES: dict[str, tuple[str, ...]] = {
    one.name: one.metadata["choices"] for one in fields(Settings)
}
_DEFAULTS: dict[str, Value] = {setting.name: setting.default for setting in SETTINGS}


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
        if _CHOICES[name] and text not in _CHOICES[name]:
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
