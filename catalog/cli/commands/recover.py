"""`catalog recover`: give unusable checkpoints their configs back."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import (
    DbOption,
    Format,
    FormatOption,
    HostOption,
    SetOption,
    command,
    new_app,
    open_catalog,
)
from catalog.cli.output import print_rows
from catalog.errors import UsageError
from catalog.passwords import hide_passwords
from catalog.query.rows import Rows
from catalog.query.values import counted, visible

if TYPE_CHECKING:
    from catalog.api import Catalog
    from catalog.recover.recovery import RecoveredFile

app = new_app()


@app.command(cls=Command)
def recover(
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH-PART",
            help="Only checkpoints whose path holds this.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="The same as a diff, for `patch` or a reviewer.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show all sources in their order, and what each is worth."),
    ] = False,
    prefer: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where sources disagree, take this one: wandb-stream, hydra-config, ..., or a "
            "part of its file's path.",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[
        int | None,
        typer.Option(metavar="BATCH", help="Remove what this recovery wrote.", show_default=False),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read back all that recoveries wrote; exit with 1 if amiss."),
    ] = False,
    form: FormatOption = Format.TABLE,
    host: HostOption = None,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Write the configs that unusable checkpoints lack.

    Nothing is guessed: a config is cut from what the checkpoint's run states, and where two
    sources contradict each other nothing is written. No existing file is overwritten. Each
    recovery is a batch that --undo takes back.
    """
    wanted = {
        "--dry-run": dry_run,
        "--diff": diff,
        "--explain": explain,
        "--undo": undo is not None,
        "--verify": verify,
    }
    given = [option for option, is_given in wanted.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"One thing at a time: {' or '.join(given)}?")
    if (undo is not None or verify) and (part is not None or prefer is not None):
        raise UsageError(f"{given[0]} takes neither a PATH-PART nor --prefer.")
    catalog = open_catalog(db, settings, host)
    if undo is not None:
        _undo(catalog, undo, form)
    elif verify:
        _verify(catalog, form)
    elif explain:
        sources = catalog.explain_recovery(only=part, prefer=prefer)
        print_rows(sources, form)
        if not sources.rows:
            sys.stdout.flush()
            sys.stderr.write(f"{_nothing(part)}.\n")
    elif diff:
        for file in catalog.recover(dry_run=True, only=part, prefer=prefer).files:
            _print_diff(file)
    else:
        _recover(catalog, form, db, dry_run=dry_run, only=part, prefer=prefer)


def _recover(
    catalog: "Catalog",
    form: Format,
    db: str | None,
    *,
    dry_run: bool,
    only: str | None,
    prefer: str | None,
) -> None:
    result = catalog.recover(dry_run=dry_run, only=only, prefer=prefer)
    print_rows(
        Rows(
            ("checkpoint", "action", "sidecar", "source", "note"),
            [
                (file.checkpoint, file.action, file.sidecar, file.source, file.note)
                for file in result.files
            ],
        ),
        form,
    )
    sys.stdout.flush()
    counts = dict.fromkeys(_SAID, 0)
    for file in result.files:
        counts[file.action] += 1
    said = ", ".join(f"{count} {_SAID[action]}" for action, count in counts.items() if count)
    batch = f"Recovery {result.batch}: " if result.batch is not None else ""
    following = _next(result.batch, counts, db, dry_run=dry_run)
    sys.stderr.write(f"{batch}{said or _nothing(only)}.{following}\n")
    if counts["failed"]:
        raise typer.Exit(1)


_SAID = {
    "write": "to be written",
    "written": "written",
    "skipped": "skipped",
    "failed": "failed",
}


def _nothing(only: str | None) -> str:
    if only is None:
        return "Nothing to recover"
    part = visible(hide_passwords(only))
    return f"Nothing to recover: no unusable checkpoint has {part!r} in its path"


def _next(batch: int | None, counts: dict[str, int], db: str | None, *, dry_run: bool) -> str:
    if counts["write"]:
        return " Nothing was written; leave out --dry-run to write."
    if dry_run and any(counts.values()):
        return " Nothing was written, and nothing would be."
    if counts["written"]:
        back = command(f"recover --undo {batch}", db)
        return f" {back} takes it back, {command('status', db)} shows where things stand now."
    return ""


def _undo(catalog: "Catalog", batch: int, form: Format) -> None:
    result = catalog.undo_recovery(batch)
    rows = [(file.path, file.action, file.note) for file in result.files]
    print_rows(Rows(("file", "action", "note"), rows), form)
    sys.stdout.flush()
    kept = sum(file.action == "kept" for file in result.files)
    removed = len(result.files) - kept
    said = f", {kept} kept" if kept else ""
    none = "" if rows else "; nothing that it wrote is left"
    sys.stderr.write(f"Undo of recovery {batch}: {counted(removed, 'file')} removed{said}{none}.\n")
    if kept:
        raise typer.Exit(1)


def _verify(catalog: "Catalog", form: Format) -> None:
    rows = catalog.verify_recoveries()
    print_rows(rows, form)
    sys.stdout.flush()
    states = [row["state"] for row in rows.dicts()]
    amiss = sum(state not in ("unchanged", "elsewhere") for state in states)
    sys.stderr.write(f"{counted(len(states), 'file')}, {amiss} not as written.\n")
    if amiss:
        raise typer.Exit(1)


def _print_diff(file: "RecoveredFile") -> None:
    if file.action != "write":
        sys.stderr.write(f"{visible(file.checkpoint)}: {visible(file.note)}\n")
        return
    lines = file.content.splitlines()
    sys.stdout.write(
        f"--- /dev/null\n+++ b/{visible(str(file.sidecar))}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    for line in lines:
        sys.stdout.write(f"+{visible(line)}\n")
