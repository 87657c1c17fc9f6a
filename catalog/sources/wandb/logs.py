"""Logs of a W&B run: `logs/debug.log`, `logs/debug-internal.log`, `files/output.log`.

`debug.log` is written in every mode and survives a kill: it holds the config as Python
literals, and sometimes the exit code. `debug-internal.log` (0.18 and later) states the zone of
the machine's clock. `output.log` is what the program printed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.sources.facts import Config, Facts, Item, Listing, Mention, Plain, Problem, RunField
from catalog.sources.interpolation import unresolved_keys
from catalog.sources.literals import parse_literal
from catalog.sources.log_lines import scan_log
from catalog.sources.paths import below, is_file, item_of, read_at_most, split
from catalog.sources.run_fields import field_of
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.wandb import ranks, run_directory
from catalog.sources.wandb.values import as_logged, prefer_resolved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "wandb-log"
VERSION = 3

_MAX_DEBUG_LOG = 4 * 1024 * 1024
_DEBUG, _INTERNAL, _OUTPUT = "debug.log", "debug-internal.log", "output.log"

_NEW_LINE = re.compile(r"^(?=\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}|config: )", re.MULTILINE)
_UPDATE = "] config_cb "
_EXIT_CODE = re.compile(r"got exitcode: (-?\d+)")
_INIT = "wandb.init called with"
_FINISHING = re.compile(r"finishing run (?:([^/\s]+)/)?([^/\s]+)/(.+)")
_LOGGING_TO = "Logging user logs to "
_RUN_FOLDER = re.compile(r"(.+)[/\\]logs[/\\]debug\.log")
_OFFSET = re.compile(rb'"time":"[0-9T:.-]{19,35}?(Z|[+-]\d{2}:\d{2})"')


def recognise(listing: Listing) -> list[Item]:
    """Return the logs in `logs/` and `files/` of a run directory."""
    names = {entry.name for entry in listing.entries}
    folder = split(listing.path)[1]
    if folder == "logs":
        wanted = {_DEBUG, _INTERNAL}
        is_run = wanted <= names
    elif folder == "files":
        wanted = {_OUTPUT}
        is_run = run_directory.companions(listing)
    else:
        return []
    holder = run_directory.holder_of(listing, folder)
    if not (is_run or run_directory.is_named(holder)):
        return []
    return [
        item_of(NAME, listing, entry, run_directory=holder)
        for entry in listing.entries
        if entry.name in wanted and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one log, as much of it as its kind needs.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    place = run_directory.describe(root, item.run_directory or split(folder)[0])
    path = below(root, item.path)
    if name == _OUTPUT:
        scan = scan_log(path)
        return Facts(
            run_directory=place,
            fields=field_of("log_ending", scan.ending(), ranks.NAMES_AND_LOGS),
            mentions=scan.mentions(),
        )
    if name == _INTERNAL:
        return Facts(run_directory=place, fields=tuple(_zone(read_at_most(path, 4096))))
    text = read_at_most(path, _MAX_DEBUG_LOG).decode("utf-8", "replace").replace("\r\n", "\n")
    document, problems = _config(text)
    config, secrets = redact(document)
    unresolved = unresolved_keys(config)
    kind, rank = "wandb-debug-log", ranks.CONFIG_DEBUG_LOG
    return Facts(
        run_directory=place,
        fields=tuple(_life(text)),
        configs=(Config(kind, config, rank, unresolved),) if config else (),
        mentions=tuple(_folders(text)),
        problems=(*problems, *redaction_problem(secrets)),
    )


def _zone(head: bytes) -> Iterator[RunField]:
    match = _OFFSET.search(head)
    if match:
        offset = match[1].decode()
        yield from field_of(
            "utc_offset", "+00:00" if offset == "Z" else offset, ranks.NAMES_AND_LOGS
        )


def _life(text: str) -> Iterator[RunField]:
    if text.rpartition("\nconfig: ")[2].count("\n") <= 1 and _INIT in text:
        # Nothing follows: `wandb.init` returned the run that was not finished yet, or was killed.
        yield from field_of("never_began", value=True, rank=ranks.NAMES_AND_LOGS)
    codes = _EXIT_CODE.findall(text)
    if codes:
        yield from field_of("exit_code", codes[-1], ranks.NAMES_AND_LOGS)
    if match := _FINISHING.search(text):
        for name, value in zip(("entity", "project", "run_id"), match.groups(), strict=True):
            yield from field_of(name, value, ranks.NAMES_AND_LOGS)


def _folders(text: str) -> Iterator[Mention]:
    path = text.partition(_LOGGING_TO)[2][:4096].partition("\n")[0]
    if match := _RUN_FOLDER.match(path):
        yield Mention("run-directory", match[1])


def _config(text: str) -> tuple[dict[str, Plain], list[Problem]]:
    """Return the config that the log's entries add up to; what cannot be parsed is a problem."""
    config: dict[str, Plain] = {}
    failed = 0
    for entry in _NEW_LINE.split(text):
        key, literal = _update(entry)
        if not literal:
            continue
        try:
            value = parse_literal(literal)
        except ValueError:
            if not key:
                failed += 1
                continue
            value = literal
        update = {key: value} if key else value
        if isinstance(update, dict):
            for name, part in update.items():
                config[name] = prefer_resolved(config[name], part) if name in config else part
    config.pop("_wandb", None)
    problems = []
    if failed:
        problems.append(
            Problem(
                "unreadable-config",
                f"{failed} config entries of the debug log are no Python literal (objects in "
                "them, or cut off) and were left out.",
            )
        )
    return as_logged(config), problems


def _update(entry: str) -> tuple[str, str]:
    """Return (key, literal) of a config update; no key for a whole mapping, "" for no update.

    Entries are `config: {...}` (what `wandb.init` was given), `config_cb None None {...}` (an
    update) and `config_cb KEY VALUE None` (one key).
    """
    if entry.startswith("config: "):
        return "", entry.removeprefix("config: ").strip()
    said = entry.partition(_UPDATE)[2].strip()
    if said.startswith("None None "):
        return "", said.removeprefix("None None ")
    key, _, value = said.partition(" ")
    return (key, value.removesuffix(" None")) if value.endswith(" None") else ("", "")
