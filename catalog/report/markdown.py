"""The report of one moment: every number on it is the result of a query that stands beside it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from catalog.query.named import resolve
from catalog.query.values import counted, gone_text, human_size
from catalog.report.tables import code, escape
from catalog.states import BY_NAME, STATES, usable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from catalog.query.connection import Reader

Row = dict[str, Any]


_CANDIDATES = 5
"""Runs that are shown of those that fit one checkpoint equally well."""
ROWS = 200
"""Rows of one table of the report, unless it is told otherwise."""


def report(reader: Reader, *, now: str, most: int = ROWS) -> str:
    """Return the report as Markdown.

    Args:
        reader: an open catalog; all queries see the same state of it.
        now: when the report is made, as it shall stand there (UTC).
        most: rows of a table; of a longer one it is said how many there are and which command
            gives all. Numbers are of everything, whatever is shown.
    """
    page = _Page(reader, most)
    numbers = page.rows("overview")[0]
    page.add("# Checkpoint Trace Report", "", f"**Generated:** {now}")
    page.add(f"**Checkpoints:** {numbers['checkpoints']}, of which unusable: {numbers['unusable']}")
    page.source("overview")
    _summary(page, numbers)
    _sources(page)
    _analysis(page, numbers)
    _evidence(page, numbers)
    _recovery(page, numbers)
    _progress(page)
    _problems(page, numbers)
    _recommendations(page, numbers)
    return page.text()


class _Page:
    """Collects lines, and asks queries by name."""

    def __init__(self, reader: Reader, most: int) -> None:
        self._reader = reader
        self.most = most
        self._lines: list[str] = []

    def rows(self, name: str) -> list[Row]:
        return self._reader.run(*resolve(name)).dicts()

    def first_rows(self, name: str) -> list[Row]:
        """Return as many rows of a long list as a table may have; `cut` tells of the others."""
        return self._reader.run(*resolve(name), row_limit=self.most).dicts()

    def cut(self, name: str, shown: int, total: int | None = None) -> None:
        """Say so, if a table shows only the first rows of a list of `total` rows."""
        if shown < self.most:
            return
        if total is None:
            sql, values = resolve(name)
            counting = f"SELECT COUNT(*) FROM ({sql.strip()}) listed"  # noqa: S608 - a named query
            ((total,),) = self._reader.run(counting, values).rows
        if total > shown:
            self.add(
                "",
                f"The first {shown} of {total} rows; `catalog query {name} -f csv` gives all, "
                f"`catalog report --rows {total}` shows them here.",
            )

    def add(self, *lines: str) -> None:
        self._lines += lines

    def heading(self, text: str, level: int = 2) -> None:
        if self._lines[-1:] != [""]:
            self.add("")
        self.add(f"{'#' * level} {text}", "")

    def source(self, *names: str) -> None:
        """Say where the numbers above come from."""
        listed = ", ".join(f"`catalog query {name}`" for name in names)
        self.add("", f"<sub>From {listed}</sub>")

    def table(self, rows: Iterable[Row], **columns: Callable[[Any], str]) -> None:
        """Add a table: `column=how to write its values`; `_` in a name becomes a blank."""
        names = [name.replace("_", " ") for name in columns]
        self.add(f"| {' | '.join(names)} |", "|" + " --- |" * len(columns))
        for row in rows:
            cells = (write(row[name]) for name, write in columns.items())
            self.add(f"| {' | '.join(cells)} |")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _summary(page: _Page, numbers: Row) -> None:
    page.heading("Executive Summary")
    total, traced = numbers["unusable"], numbers["unusable_linked"]
    with_config = numbers["unusable_with_run_config"]
    if not numbers["checkpoints"]:
        page.add("The catalog holds no checkpoint yet. `catalog ingest PATH` reads some.")
    elif not total:
        page.add("**NOTHING TO TRACE**: no checkpoint that is present is unusable.")
    elif with_config == total:
        page.add(
            f"**YES**: the config of all {total} unusable checkpoints is stated by their runs."
        )
    elif with_config:
        page.add(
            f"**PARTLY**: the config of {with_config} of {total} unusable checkpoints is stated "
            "by their runs."
        )
    else:
        page.add(
            f"**NO**: for none of the {total} unusable checkpoints is there a run that states "
            "its config."
        )
    page.heading("Key Findings", 3)
    page.add(
        f"- {numbers['checkpoints']} checkpoints ({human_size(numbers['bytes'])} present): "
        f"{usable_text(numbers['usable'], numbers['migrated'], numbers['doubted'])}"
        f"{_some(numbers['unchecked'], '{} unchecked')}, "
        f"{total} unusable ({human_size(numbers['unusable_bytes'])})"
        f"{_some(numbers['not_a_model'], '{} not a model')}, {numbers['missing']} missing"
        f"{_some(numbers['left_out'], '{} left out by a pattern')}"
        f"{_some(numbers['trashed'], '{} trashed')}.",
    )
    if numbers["doubted"]:
        page.add(
            "- Something speaks against the config of some usable ones: `catalog query usable`."
        )
    if numbers["unchecked"]:
        page.add("- Unchecked ones are recognised, not read: `catalog query unchecked` says why.")
    if total:
        page.add(
            f"- Of the {total} unusable ones {traced} are linked to one run, "
            f"{numbers['unusable_ambiguous']} fit several runs equally well, "
            f"{numbers['unusable_unlinked']} fit none.",
            f"- `catalog recover` can write the config of {numbers['recoverable']}"
            f"{_some(numbers['ambiguous_config'], 'and of {} once a person decides', ' ')}; "
            f"{numbers['unrecoverable'] + numbers['damaged']} stay unusable with what is on disk"
            f"{_some(numbers['damaged'], '{} of them damaged')}.",
        )
    page.source("overview")


def _sources(page: _Page) -> None:
    rows = page.rows("data-sources")
    page.heading("Data Sources Available")
    if not rows:
        page.add("None.")
        return
    page.table(rows, reader=escape, present=str, missing=str, left_out=str, bytes=human_size)
    page.source("data-sources")


def _analysis(page: _Page, numbers: Row) -> None:
    if not numbers["unusable"]:
        return
    page.heading("Detailed Checkpoint Analysis")
    total = numbers["unusable"]
    if linked := page.first_rows("unusable-linked"):
        page.heading(f"Traceable Checkpoints ({numbers['unusable_linked']}/{total})", 3)
        linked = _with_states(linked, "config_source")
        page.table(linked, path=code, run_directory=code, config_source=_config, score=_weight)
        page.cut("unusable-linked", len(linked), numbers["unusable_linked"])
        page.source("unusable-linked")
    if ambiguous := page.first_rows("unusable-ambiguous"):
        page.heading(f"Ambiguous Checkpoints ({numbers['unusable_ambiguous']}/{total})", 3)
        page.add("A row for each run that fits; the evidence does not tell them apart.", "")
        best, more = _best_few(ambiguous)
        page.table(best, path=code, run=code, run_directory=code, score=_weight)
        page.add(*more)
        page.cut("unusable-ambiguous", len(ambiguous))
        page.source("unusable-ambiguous")
    if unlinked := page.first_rows("unusable-unlinked"):
        page.heading(f"Untraceable Checkpoints ({numbers['unusable_unlinked']}/{total})", 3)
        page.table(unlinked, path=code, size=human_size, reason=escape, remedy=escape)
        page.cut("unusable-unlinked", len(unlinked), numbers["unusable_unlinked"])
        page.source("unusable-unlinked")


def _best_few(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return the first candidates of each checkpoint, and a line where it has more."""
    best: list[Row] = []
    more: list[str] = []
    for (_root, path), group in groupby(rows, lambda row: (row["root"], row["path"])):
        found = list(group)
        best += found[:_CANDIDATES]
        left = found[0]["candidates"] - _CANDIDATES
        if left > 0:
            more.append(f"- {code(path)}: {left} more; `catalog query ambiguous` names them.")
    return best, ["", *more] if more else []


def _evidence(page: _Page, numbers: Row) -> None:
    if not numbers["unusable_linked"]:
        return
    page.heading("Evidence")
    page.add(
        "Why these checkpoints are held to be their runs' work. A weight above 0 speaks for a "
        "link; `catalog trace PATH` shows the evidence of one.",
        "",
    )
    page.table(
        page.rows("unusable-evidence"),
        kind=code,
        checkpoints=str,
        lowest_weight=_weight,
        highest_weight=_weight,
    )
    page.source("unusable-evidence")


def _recovery(page: _Page, numbers: Row) -> None:
    recoverable, recovered = page.first_rows("recoverable"), page.first_rows("recovered")
    if not recoverable and not recovered:
        return
    page.heading("Configuration Recovery")
    if recoverable:
        page.add(
            "`catalog recover` would write the config of "
            f"{counted(numbers['recoverable'], 'checkpoint')}, each cut from the file beside it "
            "(`--dry-run` shows it and writes nothing):",
            "",
        )
        recoverable = _with_states(recoverable, "source")
        page.table(recoverable, path=code, source=code, source_kind=escape)
        page.cut("recoverable", len(recoverable), numbers["recoverable"])
        page.source("recoverable")
    if recovered:
        page.add("", "What recoveries did so far:", "")
        recovered = _with_states(recovered, "source")
        page.table(recovered, recovery=str, state=str, sidecar=code, source=code, note=escape)
        page.cut("recovered", len(recovered))
        page.source("recovered")


def _progress(page: _Page) -> None:
    rows = page.rows("migration-progress")
    if rows:
        page.heading("Migration Progress")
        page.table(page.rows("migration-status"), state=_state, checkpoints=str, bytes=human_size)
        page.add("", "After each ingest and each recovery:", "")
        latest = rows[-page.most :]
        # A rare state needs no column where no checkpoint was in it.
        columns = ["unusable"] + [
            one.column
            for one in STATES
            if not one.is_rare or any(row[one.column] for row in latest)
        ]
        page.table(
            latest, ingest=str, finished_at=escape, cause=escape, **dict.fromkeys(columns, str)
        )
        if len(latest) < len(rows):
            page.add("", f"The latest {len(latest)} of {len(rows)}.")
        page.source("migration-status", "migration-progress")


def _problems(page: _Page, numbers: Row) -> None:
    if numbers["problems"]:
        page.heading("Problems")
        page.add(f"Open problems: {numbers['problems']}. How many there are of each kind:", "")
        page.table(page.rows("problem-codes"), code=code, problems=str, example=code)
        page.source("overview", "problem-codes")


def _recommendations(page: _Page, numbers: Row) -> None:
    listed: list[str] = []
    reasons = page.first_rows("unusable-reasons")
    if numbers["recoverable"]:
        listed.append(
            "Run `catalog recover`: it has what "
            f"{counted(numbers['recoverable'], 'unusable checkpoint')} lack."
        )
    if numbers["unusable_ambiguous"]:
        listed.append(
            f"Decide on {counted(numbers['unusable_ambiguous'], 'ambiguous checkpoint')}: "
            "`catalog query ambiguous` names the runs."
        )
    listed += [
        f"{counted(reason['checkpoints'], 'checkpoint')} ({escape(reason['reason_code'])}): "
        f"{escape(reason['remedy'])}"
        for reason in reasons
        if reason["remedy"]
    ]
    if numbers["spare_bytes"]:
        listed.append(
            "Look at the checkpoints with equal weights, whose copies take "
            f"{human_size(numbers['spare_bytes'])}: `catalog query duplicates` names them."
        )
    if numbers["stated_spare_bytes"]:
        listed.append(
            "Look at the checkpoints that state equal weights, whose copies take "
            f"{human_size(numbers['stated_spare_bytes'])}: nobody read their bytes yet, and "
            "`catalog query duplicates --verify` does."
        )
    if listed:
        page.heading("Recommendations")
        page.add(*(f"{number}. {text}" for number, text in enumerate(listed, start=1)))
        page.cut("unusable-reasons", len(reasons))
        page.source("overview", "unusable-reasons")


def _some(count: int, text: str, before: str = ", ") -> str:
    """Return a text with a count, to go on with a sentence; empty where there is none."""
    return f"{before}{text.format(count)}" if count else ""


def _with_states(rows: list[Row], column: str) -> list[Row]:
    """Return the rows with what became of a file behind its name."""
    return [
        {**row, column: row[column] and row[column] + gone_text(row[f"{column}_state"])}
        for row in rows
    ]


def _state(name: str) -> str:
    return escape(BY_NAME[name].label)


def _config(path: str | None) -> str:
    return code(path) if path else "none stated"


def _weight(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"
