"""Compares what catalog says with the libraries' verdicts, and writes the table of it."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.oracle.specimen import DAMAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.oracle.specimen import EmptyCell, Specimen

_USABLE: Final = frozenset({"usable", "migrated"})
_WARNINGS: Final = ("RefusedError: missing_keys", "UserWarning: Found missing adapter keys")
"""Reasons of judges that are stricter than the library: it warns, and makes the tensors up."""
_WHOLE_PARTS: Final = frozenset({"pipeline"})
"""Formats whose parts are models of their own: one is usable where another is missing."""
_WITHOUT_CONFIG: Final = ("without config.json", "without adapter_config.json")
_ONE_FILE: Final = ("/model.safetensors", "/pytorch_model.bin", "/adapter_model.safetensors")


@dataclass(frozen=True)
class Case:
    """A specimen, the library's verdict on it and catalog's."""

    specimen: Specimen
    library: dict[str, Any]
    ours: dict[str, Any]
    fits_sums: bool
    """Whether the bytes fit the sums that the file states, where it states any."""

    @property
    def is_good(self) -> bool:
        """Whether the library loads a model from it."""
        return bool(self.library["accepted"]) and self.specimen.is_model

    @property
    def is_usable(self) -> bool:
        """Whether catalog calls it usable."""
        return self.ours["state"] in _USABLE

    @property
    def only_warns(self) -> bool:
        """Whether the library loads it with a warning of tensors that its code misses."""
        return str(self.library.get("reason")).startswith(_WARNINGS)

    @property
    def weights(self) -> tuple[tuple[str, str], ...] | None:
        """What the library loaded; None where it refuses, or nothing is in it."""
        found = self.library.get("weights")
        return tuple(sorted(found.items())) if found else None

    def __str__(self) -> str:
        one = self.specimen
        library = (
            "accepts" if self.library["accepted"] else f"refuses: {self.library['reason'][:160]}"
        )
        if self.library["accepted"] and not one.is_model:
            library = "accepts, no model is in it"
        reason = self.ours.get("reason") or self.ours.get("weights_doubt") or ""
        ours = f"{self.ours['status']}, {self.ours['state']}" + (f": {reason}" if reason else "")
        what = f"{one.damage}: {one.note}" if one.note else one.damage
        return f"`{one.path}` ({what}); {one.judge} {library}; ours {ours}"


@dataclass
class Outcome:
    """All that was found: `wrong` must be empty, the rest is to be read."""

    cases: list[Case]
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    false_alarms: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    told_by_code: list[str] = field(default_factory=list)
    missed_equal: list[str] = field(default_factory=list)


def cases(
    zoo: Path, specimens: Iterable[Specimen], library: dict[str, Any], ours: dict[str, Any]
) -> list[Case]:
    """Put together what belongs to each specimen."""
    return [
        Case(one, library[one.path], ours[one.path], _fits_sums(zoo / one.path))
        for one in specimens
    ]


def _fits_sums(path: Path) -> bool:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return all(_fits_stated(one) for one in files if zipfile.is_zipfile(one))


def _fits_stated(path: Path) -> bool:
    try:
        archive = zipfile.ZipFile(path)
    except Exception:  # noqa: BLE001  what Python finds wrong is no statement on a sum
        return True
    with archive:
        return not any(_differs(archive, info) for info in archive.infolist() if info.CRC)


def _differs(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    try:
        archive.read(info)
    except Exception as error:  # noqa: BLE001  Python compares names and flags as well
        return str(error).startswith("Bad CRC-32")
    return False


def compared(found: list[Case]) -> Outcome:
    """Judge catalog's verdicts by the libraries'."""
    outcome = Outcome(found)
    for case in found:
        _compare_wholeness(case, outcome)
        _compare_default_load(case, outcome)
    _compare_equality(found, outcome)
    return outcome


def _compare_wholeness(case: Case, outcome: Outcome) -> None:
    state = case.ours["state"]
    if not case.is_good:
        if case.is_usable and (case.specimen.is_told_by_code or case.only_warns):
            outcome.told_by_code.append(str(case))
        elif case.is_usable:
            outcome.wrong["usable"].append(str(case))
        elif case.ours["status"] == "readable" and not case.library["accepted"]:
            outcome.wrong["whole"].append(str(case))
        if case.ours.get("hashed_state") in _USABLE and not case.is_usable:
            outcome.wrong["usable with --hash"].append(str(case))
        parts = [
            path
            for path, other in case.ours["below"].items()
            if other in _USABLE and not _loads_alone(case.specimen, path)
        ]
        if parts and case.specimen.format not in _WHOLE_PARTS:
            outcome.wrong["a part is usable"].append(f"{case}; usable: {', '.join(parts)}")
    elif state == "unchecked":
        outcome.unread.append(str(case))
    elif not case.is_usable:
        outcome.false_alarms.append(str(case))
    is_torch = case.specimen.judge == "torch"
    if (
        is_torch
        and not case.fits_sums
        and not case.ours["damage"]
        and case.ours.get("hashed_state") in _USABLE
    ):
        outcome.wrong["whole with --hash, and a sum does not fit"].append(str(case))


def _loads_alone(specimen: Specimen, part: str) -> bool:
    """Return whether a part is weights in one file, untouched, in a folder that lost its config."""
    return specimen.note in _WITHOUT_CONFIG and part.endswith(_ONE_FILE)


def _compare_default_load(case: Case, outcome: Outcome) -> None:
    default = case.library.get("default")
    said = case.ours.get("loads_by_default")
    if default is None or said in (None, "unknown"):
        return
    if (said == "yes") != default["accepted"]:
        reason = default.get("reason", "accepts")
        outcome.wrong["loads by default"].append(
            f"{case}; loads_by_default {said}, torch {reason[:160]}"
        )


def _compare_equality(found: Sequence[Case], outcome: Outcome) -> None:
    for key in ("weights_fingerprint", "weights_sha256"):
        groups: dict[str, list[Case]] = defaultdict(list)
        for case in found:
            if case.ours.get(key) and (case.fits_sums or key == "weights_sha256"):
                groups[case.ours[key]].append(case)
        for group in groups.values():
            _compare_group(key, group, outcome)
    pairs: dict[Any, list[Case]] = defaultdict(list)
    for case in found:
        if case.weights and case.fits_sums:
            pairs[case.specimen.format, case.weights].append(case)
    for group in pairs.values():
        stated: dict[str, list[str]] = defaultdict(list)
        for case in group:
            label = case.ours.get("weights_fingerprint") or "no fingerprint"
            stated[label[:14]].append(f"`{case.specimen.path}` ({case.specimen.note})")
        if len(stated) > 1:
            told = (f"{label}: {', '.join(names)}" for label, names in stated.items())
            outcome.missed_equal.append("; ".join(told))


def _compare_group(key: str, group: list[Case], outcome: Outcome) -> None:
    """Compare each that the library loads with the first of its kind.

    One that it refuses has no equal; one that catalog calls damaged is never kept for another.
    """
    loaded = [case for case in group if case.library["accepted"]]
    refused = [
        case for case in group if not case.library["accepted"] and case.ours["status"] == "readable"
    ]
    if len(group) > 1:
        outcome.wrong[f"equal by {key}, refused"] += [str(case) for case in refused]
    for case in loaded[1:]:
        if case.weights != loaded[0].weights:
            outcome.wrong[f"equal by {key}"].append(f"{loaded[0]} and {case}")


def table(found: Sequence[Case], empty: Sequence[EmptyCell]) -> Iterator[str]:
    """Yield the lines of the table: specimens, those the library loads, those called usable."""
    yield "| format | " + " | ".join(DAMAGES) + " |"
    yield "|---" * (len(DAMAGES) + 1) + "|"
    reasons = {
        (cell.format, damage)
        for cell in empty
        for damage in DAMAGES
        if cell.damage in (damage, "all")
    }
    for kind in dict.fromkeys(
        [case.specimen.format for case in found] + [cell.format for cell in empty]
    ):
        cells = []
        for damage in DAMAGES:
            here = [c for c in found if c.specimen.format == kind and c.specimen.damage == damage]
            good, usable = sum(c.is_good for c in here), sum(c.is_usable for c in here)
            told = (
                f"{len(here)} / {good} / {usable}"
                if here
                else "empty"
                if (kind, damage) in reasons
                else "?"
            )
            cells.append(told)
        yield f"| {kind} | " + " | ".join(cells) + " |"


def report(outcome: Outcome, empty: Sequence[EmptyCell], versions: dict[str, str]) -> str:
    """Return the whole outcome as Markdown."""
    found = outcome.cases
    lines = ["# Verdicts of the real libraries and of catalog", ""]
    lines.append(", ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    lines += [
        "",
        f"{len(found)} specimens; in a cell: all / a model to the library / usable to catalog.",
        "",
    ]
    lines += [*table(found, empty), ""]
    wrong = sum(map(len, outcome.wrong.values()))
    lines += [f"## Called usable, whole, equal or loading, and not so: {wrong}", ""]
    for kind, told in outcome.wrong.items():
        if told:
            lines += [f"### {kind}: {len(told)}", "", *(f"- {one}" for one in told), ""]
    for title, told in (
        (
            "False alarms: the library loads it, catalog does not call it usable",
            outcome.false_alarms,
        ),
        ("Recognised, and not read", outcome.unread),
        ("Usable, and the model's code misses a tensor, which no file says", outcome.told_by_code),
        ("Equal by the library, and not stated as equal", outcome.missed_equal),
        ("Empty cells", [f"{cell.format}, {cell.damage}: {cell.reason}" for cell in empty]),
    ):
        lines += [f"## {title}: {len(told)}", "", *(f"- {one}" for one in told), ""]
    return "\n".join(lines)


def empty_without_reason(found: Sequence[Case], empty: Sequence[EmptyCell]) -> list[str]:
    """Return the cells that have neither a specimen nor a reason."""
    reasons = {(cell.format, cell.damage) for cell in empty}
    full = {(case.specimen.format, case.specimen.damage) for case in found}
    return [
        f"{kind}, {damage}"
        for kind in sorted({case.specimen.format for case in found})
        for damage in DAMAGES
        if not {(kind, damage), (kind, "all")} & (reasons | full)
    ]
