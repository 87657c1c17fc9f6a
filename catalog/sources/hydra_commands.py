"""Whether a run's command line, as a tracker recorded it, is the one that a Hydra job was given.

`overrides.yaml` lists the overrides of the task only, in the form that Hydra gives them, and for
one job; the command line holds Hydra's own options and overrides as well, and a whole sweep. So
both are read and compared by what they mean. What cannot be compared says nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from catalog.sources.hydra_overrides import (
    Override,
    OverrideError,
    format_override,
    parse_override,
)
from catalog.sources.hydra_values import Unknown, is_open

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from catalog.sources.hydra_values import Meaning, Value

_WITH_VALUE: Final = {
    "--cfg": "cfg", "-c": "cfg", "--package": "package", "-p": "package",
    "--config-path": "config-path", "-cp": "config-path",
    "--config-name": "config-name", "-cn": "config-name",
    "--config-dir": "config-dir", "-cd": "config-dir",
    "--experimental-rerun": "experimental-rerun",
    "--info": "info", "-i": "info",
}  # fmt: skip
_FLAGS: Final = {
    "--help": "help", "-h": "help", "--hydra-help": "hydra-help", "--version": "version",
    "--resolve": "resolve", "--run": "run", "-r": "run", "--multirun": "multirun",
    "-m": "multirun", "--shell-completion": "shell-completion", "-sc": "shell-completion",
}  # fmt: skip
"""Options of `hydra.main` (hydra/_internal/utils.py, `get_args_parser`)."""
_OPTIONAL = "info"
"""The option whose value may be left out."""
_BASIC = "BasicSweeper"
_SUFFIXES = (".yaml", ".yml")

Verdict = Literal["equal", "part", "different", "unknown"]


@dataclass(frozen=True, slots=True)
class JobStart:
    """What the files in `.hydra/` say of how a job was started; the texts of its run fields."""

    overrides: str | None = None
    """JSON list."""
    mode: str | None = None
    """`RUN` or `MULTIRUN`, from Hydra 1.2 on."""
    config_name: str | None = None
    sweeper: str | None = None
    """Class of the sweeper."""
    sweeper_params: str | None = None
    """JSON: what a config sweeps over, by override."""


class Comparison(NamedTuple):
    """How a job's overrides and a run's arguments go together."""

    verdict: Verdict
    """`equal`: the same command. `part`: one job of the sweep that the command started.
    `different`: another command. `unknown`: they cannot be compared, or there are none."""
    agreeing: tuple[str, ...] = ()
    """The job's overrides that are in the command."""
    odd: str = ""
    """What differs: a clause that follows on `The job was run with`."""
    swept: tuple[tuple[str, Meaning], ...] = ()
    """What the sweep gave this job, by what it overrides."""


class Command(NamedTuple):
    """A command line, read as `hydra.main` reads it."""

    overrides: dict[str, Override]
    """Of the task, by what they override; of several the last."""
    unread: frozenset[str]
    """Overrides that are not in the grammar: hidden credentials, other versions."""
    options: dict[str, str]
    is_sweep: bool
    is_hydra: bool
    """Whether every word is an option or an override: no launcher's or other program's line."""


UNKNOWN: Final = Comparison("unknown")


@lru_cache(maxsize=4_096)
def compare(arguments: str | None, job: JobStart) -> Comparison:
    """Compare the arguments of a run with a job.

    Args:
        arguments: JSON list, as the tracker recorded it; None where it did not.
        job: what its files say.

    """
    words, stated = _listed(arguments), _listed(job.overrides)
    if words is None or stated is None:
        return UNKNOWN
    command = read_command(words)
    own, unread = _by_element(stated)
    if not command.is_hydra:
        return UNKNOWN
    named = command.options.get("config-name")
    if named is not None and job.config_name is not None:
        if _bare(named) != _bare(job.config_name):
            return Comparison("different", odd=f"the config {job.config_name}, not {named}")
        named_alike: tuple[str, ...] = (f"--config-name {named}",)
    else:
        named_alike = ()
    if command.is_sweep and job.mode == "RUN":
        return Comparison("different", odd="one job alone, not a sweep")
    is_part = command.is_sweep or job.mode == "MULTIRUN"
    # An override that only one side can be read of may be any.
    is_whole = unread == command.unread
    found = _Found([*named_alike, *sorted(unread & command.unread)], is_certain=is_whole)
    for element, override in own.items():
        found.add(override, command.overrides.get(element), job, is_whole, is_part=is_part)
    for element in command.overrides:
        if element not in own and is_whole:
            text = f"no {element.lstrip('+~')}"
            found.odd = found.odd or text
    if found.odd:
        return Comparison("different", odd=found.odd)
    if not found.is_certain or not found.agreeing:
        return Comparison("unknown", tuple(found.agreeing))
    swept = tuple(sorted(found.swept.items(), key=repr))
    return Comparison("part" if swept else "equal", tuple(found.agreeing), swept=swept)


class _Found:
    """What comparing override after override has shown."""

    def __init__(self, agreeing: list[str], *, is_certain: bool) -> None:
        self.agreeing = agreeing
        self.is_certain = is_certain
        self.swept: dict[str, Meaning] = {}
        self.odd = ""

    def add(
        self, own: Override, given: Override | None, job: JobStart, is_whole: bool, *, is_part: bool
    ) -> None:
        """Take an override of the job, and the one of the command that is about the same."""
        text = _shown(own)
        if given is None:
            if not is_part:
                if is_whole:
                    self.odd = self.odd or text
                return
            swept = _params(job.sweeper_params)
            if own.element not in swept and is_whole and _knows_its_params(job):
                self.odd = self.odd or text
            self._note(own)
            return
        same = _same(given.value, own.value)
        if not isinstance(given.value, tuple):
            self._note(own)
        if same is None:
            self.is_certain = False
        elif same:
            self.agreeing.append(text)
        else:
            self.odd = self.odd or f"{text}, not {_shown(given)}"

    def _note(self, own: Override) -> None:
        if isinstance(own.value, tuple):
            self.swept[own.key] = own.value


def _same(given: Value, own: Value) -> bool | None:
    """Say whether a job's value is the command's, or one of those that it names."""
    if not isinstance(own, tuple):
        # Only a command that is no job's has a sweep: a job that was never run as one.
        return None if isinstance(own, Unknown) or given != own else True
    if not isinstance(given, tuple):
        return given.holds(own)
    if given == own:
        return True
    return None if is_open(given) or is_open(own) else False


@lru_cache(maxsize=4_096)
def command_key(overrides: str | None) -> str | None:
    """Return a job's overrides in one form for all commands of one meaning.

    Args:
        overrides: JSON list; None, or what is no list, gives None.

    """
    stated = _listed(overrides)
    if stated is None:
        return None
    own, unread = _by_element(stated)
    return repr((sorted((element, _key(one)) for element, one in own.items()), sorted(unread)))


def read_command(words: Sequence[str]) -> Command:
    """Read a command line without the program, as `hydra.main` does.

    Args:
        words: what follows the program's name.

    """
    options: dict[str, str] = {}
    positional: list[str] = []
    is_hydra = True
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            positional += words[place:]
            break
        if not word.startswith("-") or word == "-":
            positional.append(word)
            continue
        name, value = _option(word)
        if name is None:
            is_hydra = False  # another program's: of its words any may be a value
            continue
        if value is None and name in _WITH_VALUE.values():
            if place < len(words) and not words[place].startswith("-"):
                value = words[place]
                place += 1
            elif name != _OPTIONAL:
                is_hydra = False
        options[name] = value or ""
    is_hydra = is_hydra and all("=" in word or word.startswith("~") for word in positional)
    overrides, unread = _by_element(positional, of_task=False)
    mode = next((one for key, one in overrides.items() if key.lstrip("+") == "hydra.mode"), None)
    is_sweep = "multirun" in options or (
        mode is not None and str(mode.value[-1] if isinstance(mode.value, tuple) else "") == _SWEEP
    )
    task = {element: one for element, one in overrides.items() if not one.is_of_hydra}
    return Command(task, unread, options, is_sweep, is_hydra)


_SWEEP = "MULTIRUN"


def _option(word: str) -> tuple[str | None, str | None]:
    """Return the option that a word names, and its value if the word holds it as well.

    As argparse has it: `--config-name=x`, and names that are cut (`--multi`) where one fits.
    """
    name, equals, value = word.partition("=")
    known = _WITH_VALUE | _FLAGS
    if name not in known and name.startswith("--"):
        fitting = sorted({known[one] for one in known if one.startswith(name)})
        return (fitting[0], value if equals else None) if len(fitting) == 1 else (None, None)
    return known.get(name), value if equals else None


def _by_element(
    words: Iterable[str], *, of_task: bool = True
) -> tuple[dict[str, Override], frozenset[str]]:
    found: dict[str, Override] = {}
    unread: set[str] = set()
    for word in words:
        try:
            override = parse_override(word)
        except OverrideError:
            if not word.lstrip("+~").startswith(("hydra.", "hydra/")):
                unread.add(word)
            continue
        if not (of_task and override.is_of_hydra):
            found[override.element] = override
    return found, frozenset(unread)


@lru_cache(maxsize=4_096)
def _params(text: str | None) -> Mapping[str, str]:
    """Return what a config sweeps over, by override."""
    try:
        params = json.loads(text) if text else {}
    except ValueError:
        return {}
    return (
        {str(key): str(value) for key, value in params.items()} if isinstance(params, dict) else {}
    )


def _knows_its_params(job: JobStart) -> bool:
    """Say whether a job's sweeper is one that sweeps over what `sweeper_params` lists, only."""
    return job.sweeper is not None and job.sweeper.rpartition(".")[2] == _BASIC


@lru_cache(maxsize=4_096)
def _listed(text: str | None) -> tuple[str, ...] | None:
    try:
        words = json.loads(text) if text else None
    except ValueError:
        return None
    return tuple(map(str, words)) if isinstance(words, list) else None


def _bare(name: str) -> str:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _shown(override: Override) -> str:
    """Return an override for a sentence."""
    value = override.value
    if isinstance(value, tuple) and value[0] == "text" and " " not in str(value[1]):
        return f"{override.element}={value[1]}"
    try:
        return format_override(override)
    except OverrideError:
        return f"{override.element}=..."


def _key(override: Override) -> str:
    try:
        return format_override(override)
    except OverrideError:
        return repr(override.value)
