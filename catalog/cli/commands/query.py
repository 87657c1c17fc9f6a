"""`catalog query`: questions by name."""

from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import (
    PAGE,
    DbOption,
    Format,
    FormatOption,
    LimitOption,
    SetOption,
    new_app,
    open_catalog,
)
from catalog.cli.output import print_rows, print_stream
from catalog.errors import UsageError

if TYPE_CHECKING:
    from catalog.api import Catalog

app = new_app()


def _flag(name: str, text: str) -> object:
    return typer.Option(f"--{name}", help=text)


@app.command(cls=Command)
def query(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Of a query or a view; without a name all are listed.",
            show_default=False,
        ),
    ] = None,
    unusable: Annotated[bool, _flag("unusable", "Checkpoints that cannot be used, why.")] = False,
    usable: Annotated[bool, _flag("usable", "Checkpoints that can be used.")] = False,
    unchecked: Annotated[
        bool, _flag("unchecked", "Checkpoints whose content is not read, why.")
    ] = False,
    migration_status: Annotated[
        bool, _flag("migration-status", "Checkpoints and bytes in each state.")
    ] = False,
    duplicates: Annotated[
        bool,
        _flag(
            "duplicates",
            "Checkpoints with equal weights, verified or stated, and the bytes to be freed.",
        ),
    ] = False,
    ambiguous: Annotated[bool, _flag("ambiguous", "Checkpoints that several runs fit.")] = False,
    problems: Annotated[bool, _flag("problems", "What could not be read.")] = False,
    evidence_at_risk: Annotated[
        bool, _flag("evidence-at-risk", "Checkpoints whose only config may be cleaned away.")
    ] = False,
    verify: Annotated[
        bool,
        _flag(
            "verify",
            "With --duplicates: read the bytes of what is listed, and say which are equal. Nothing "
            "is stored; `catalog ingest --hash` keeps what it finds.",
        ),
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Short for -p run=RUN.", show_default=False),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--parameter",
            metavar="KEY=VALUE",
            help="A value that the query takes, e.g. -p run=tit2247i.",
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = None,
    fail_if_any: Annotated[
        bool, typer.Option("--fail-if-any", help="Exit with 1 if there is any row.")
    ] = False,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Answer a question that the catalog knows by name.

    Without a name or a flag it lists all queries and views with what they answer.
    """
    flags = {
        "unusable": unusable,
        "usable": usable,
        "unchecked": unchecked,
        "migration-status": migration_status,
        "duplicates": duplicates,
        "ambiguous": ambiguous,
        "problems": problems,
        "evidence-at-risk": evidence_at_risk,
    }
    names = [flag for flag, given in flags.items() if given] + ([name] if name else [])
    if len(names) > 1:
        raise UsageError(f"One question at a time: {' or '.join(names)}?")
    if verify and names not in (["duplicates"], ["duplicate_checkpoints"]):
        raise UsageError(
            "--verify reads the files of one list: `catalog query duplicates --verify`."
        )
    parameters = [*(parameter or []), *([f"run={run}"] if run else [])]
    catalog = open_catalog(db, settings)
    if not names:
        if parameters or fail_if_any:
            raise UsageError("-p and --fail-if-any need the name of a query.")
        print_rows(catalog.queries(), form)
        return
    values = _pairs(parameters)
    count = _print(catalog, names[0], values, form, limit=limit, verify=verify)
    if not count and values and (hint := catalog.why_no_rows(values)):
        typer.echo(f"catalog: {hint}", err=True)
    if fail_if_any and count:
        raise typer.Exit(1)


def _print(
    catalog: "Catalog",
    name: str,
    values: dict[str, str],
    form: Format,
    *,
    limit: int | None,
    verify: bool,
) -> int:
    """Print the answer, and return how many rows there are, those that a limit cut off included."""
    if limit is None and form is not Format.TABLE and not verify:
        with catalog.stream(name, values) as stream:
            return print_stream(stream, form)
    if limit is None and form is Format.TABLE:
        limit = PAGE
    if verify:
        from catalog.cli.progress import showing

        with showing(quiet=False) as progress:
            rows = catalog.verify_duplicates(limit=limit, progress=progress)
    else:
        rows = catalog.query(name, values, limit=limit)
    if rows.truncated:
        rows = rows._replace(total=catalog.count(name, values))
    print_rows(rows, form, more="Raise --limit to see more.")
    return len(rows.rows) + rows.truncated


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-p {text}: write it as KEY=VALUE.")
        pairs[key] = value
    return pairs
