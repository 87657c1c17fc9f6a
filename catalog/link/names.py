"""What runs are called, and which run alone is called so: `--exp_name X`, a display name."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.config_texts import config_texts
from catalog.link.keys import says_another, says_reading
from catalog.link.places import tells_training
from catalog.link.texts import texts
from catalog.sources.formats.registry import stem_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from catalog.link.places import Place
    from catalog.link.subjects import RunFolder, Subject

_KEY = re.compile(
    r"(?:(?:.*[._/])?(?:exp|experiment|run|trial|job|wandb|project_run)[._]?(?:name|id|tag)?|name)",
    re.IGNORECASE,
)
"""Keys and options under which people name a training; `model.name` is none of them."""
_WORDS = ("%exp%", "%run%", "%trial%", "%job%", "%wandb%", "name")
_NO_SIGN = re.compile(r"[^a-z0-9]+")
_ENDING = re.compile(r"[-_.](?:best|last|final|latest|model|ckpt|checkpoint)$", re.IGNORECASE)
_SHORTEST = 3
_LONGEST = 200
_DATE_AND_TIME = 12
"""Digits of a name that is a number and tells all the same."""


class Name(NamedTuple):
    """What a run is called, and where that is said."""

    text: str
    key: str
    file_id: int | None


class Names:
    """The names of all runs.

    Args:
        connection: to the catalog.
        runs: the run folders that checkpoints can be linked to.
        subjects: every checkpoint.
    """

    def __init__(
        self,
        connection: Connection,
        runs: Collection[RunFolder],
        subjects: Iterable[Subject],
    ) -> None:
        self._of_folder: dict[int, dict[str, Name]] = {}
        self._folders: dict[str, list[RunFolder]] = defaultdict(list)
        of_config = _of_configs(
            connection, {folder.config[0][0] for folder in runs if folder.config}
        )
        for folder in runs:
            named: dict[str, Name] = {}
            for name in _stated(folder, of_config):
                plain = _plain(name.text)
                if plain is not None:
                    named.setdefault(plain, name)
            self._of_folder[folder.id] = named
            for plain in named:
                self._folders[plain].append(folder)
        self._places: dict[str, set[str]] = defaultdict(set)
        self._files: dict[str, set[str]] = defaultdict(set)
        for subject in subjects if self._folders else ():
            for plain in names_of_place(subject.place):
                if plain in self._folders:
                    self._places[plain].add(subject.output)
            for plain in names_of_file(subject.path):
                if plain in self._folders:
                    self._files[plain].add(subject.directory)

    def of_run(self, folder: RunFolder, plain: str) -> Name | None:
        """Return how a run says that it is called by a name; None if it is not."""
        return self._of_folder.get(folder.id, {}).get(plain)

    def is_called(self, folder: RunFolder) -> bool:
        """Tell whether a run has any telling name."""
        return bool(self._of_folder.get(folder.id))

    def folders(self, plain: str) -> list[RunFolder]:
        """Return the folders of the runs that are called so."""
        return self._folders.get(plain, [])

    def decides(self, plain: str) -> bool:
        """Tell whether one run alone is called so, and one training's folder, and one file."""
        return (
            len({folder.run_id for folder in self.folders(plain)}) == 1
            and len(self._places.get(plain, ())) <= 1
            and len(self._files.get(plain, ())) <= 1
        )

    def rests_on(self, subject: Subject) -> list[tuple[str, bool, list[int]]]:
        """Return what the names of a checkpoint say: who bears each, and whether that decides."""
        return [
            (plain, self.decides(plain), sorted({folder.run_id or 0 for folder in folders}))
            for plain in names_of(subject)
            if (folders := self.folders(plain))
        ]


def names_of(subject: Subject) -> tuple[str, ...]:
    """Return what a checkpoint may be called by: its stem, and its training's folder."""
    return (*names_of_file(subject.path), *names_of_place(subject.place))


def plain_stem(path: str) -> str | None:
    """Return the name of a file as names are compared, None where it says nothing."""
    return next(iter(names_of_file(path)), None)


@lru_cache(maxsize=4_096)
def names_of_file(path: str) -> tuple[str, ...]:
    """Return the name of a file as names are compared, also without `-best` and the like."""
    stem = posixpath.basename(stem_of(path))
    return tuple(
        dict.fromkeys(
            plain for one in (stem, _ENDING.sub("", stem)) if (plain := _plain(one)) is not None
        )
    )


@lru_cache(maxsize=4_096)
def names_of_place(place: Place) -> tuple[str, ...]:
    """Return the names of the folders by which a training is known."""
    found: dict[str, None] = {}
    for key in place.keys:
        for name in (key.anchor.rpartition("/")[2], key.anchor):
            plain = _plain(name)
            if plain is not None:
                found[plain] = None
    plain = _plain(posixpath.basename(place.directory))
    if plain is not None:
        found[plain] = None
    return tuple(found)


@lru_cache(maxsize=65_536)
def _plain(name: str) -> str | None:
    """Return a name without signs and cases (`x 13` is `x13`), None for what is no telling name."""
    name = name.strip()
    if len(name) > _LONGEST or not tells_training(name.replace(" ", "_")):
        return None
    plain = _NO_SIGN.sub("", name.lower())
    is_number = plain.isdigit() and len(plain) < _DATE_AND_TIME
    return None if is_number or len(plain) < _SHORTEST else plain


@lru_cache(maxsize=4_096)
def _names_the_training(key: str) -> bool:
    """Tell whether the name of the very training stands under a key, not that of another."""
    return _KEY.fullmatch(key) is not None and not says_reading(key) and not says_another(key)


def _stated(folder: RunFolder, of_config: dict[int, list[tuple[str, str]]]) -> Iterator[Name]:
    if folder.display_name:
        yield Name(folder.display_name, "display name", None)
    if folder.arguments is not None:
        before = ""
        for text in texts(folder.arguments.text) or ():
            option, equals, value = text.partition("=")
            key = (option if equals else before).lstrip("-+").replace("-", "_")
            value = value if equals else text
            if key and not value.startswith("-") and _names_the_training(key):
                yield Name(value.strip("'\""), f"argument {key}", folder.arguments.file_id)
            before = text if text.startswith("-") and not equals else ""
    for config_id, file_id in folder.config[:1]:
        for key, text in of_config.get(config_id, ()):
            yield Name(text, key, file_id)


def _of_configs(connection: Connection, numbers: set[int]) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for config_id, key, text in config_texts(connection, numbers, _WORDS):
        if text and _names_the_training(key):
            found[config_id].append((key, text))
    return found


def called_alike(names: Names, subject: Subject, folder: RunFolder) -> Iterator[tuple[str, Name]]:
    """Yield the names that a checkpoint shares with a run, as they are compared and as stated."""
    for plain in names_of(subject):
        name = names.of_run(folder, plain)
        if name is not None:
            yield plain, name
