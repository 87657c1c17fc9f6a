"""What commands share: options, declared once, and how the catalog is opened with them."""

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from catalog.api import Catalog


PAGE = 200
"""Rows of a table for people, unless --limit says otherwise; programs get all."""


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    TSV = "tsv"
    MD = "md"


FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        "-f",
        help="table is for people; the others give programs raw values (sizes in bytes, times "
        "in UTC).",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=0,
        help=f"Most rows to print [default: {PAGE} in a table, else all].",
        show_default=False,
    ),
]
DbOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        help="The catalog's database. [default: $CATALOG_DB, else catalog.db]",
        show_default=False,
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of this machine, where its own changes or tells nothing, as in a container. "
        "[default: $CATALOG_HOST, else the machine's own]",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting for this call; `catalog settings` lists and keeps them. States and "
        "links are as the last ingest judged them.",
        show_default=False,
    ),
]


def command(arguments: str, db: str | None) -> str:
    """Return a command to try next, as it can be typed: on the database that was named.

    A password is no part of it; the driver knows it from elsewhere, or it is typed again.
    """
    from catalog.schema.location import locate

    named = f" --db {shlex.quote(locate(db).shown)}" if db else ""
    return f"`catalog {arguments}{named}`"


def new_app(**options: Any) -> typer.Typer:
    """Return a typer application without the parts that cost start-up time."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )


def open_catalog(
    db: str | None, pairs: list[str] | None = None, host: str | None = None
) -> "Catalog":
    """Return the catalog that --db, --set and --host ask for.

    Raises:
        UsageError: no such setting, a value of another type, or no name of a host.
    """
    from catalog.api import Catalog
    from catalog.settings import parse_values

    return Catalog(db, parse_values(pairs or ()), host=host)
