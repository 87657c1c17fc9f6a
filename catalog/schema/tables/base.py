"""What all tables share: naming of constraints, described columns, enumerations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, MetaData
from sqlmodel import Field, SQLModel

metadata: MetaData = SQLModel.metadata
# Batch mode on SQLite can only drop or alter a constraint that has a name.
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def column(comment: str, default: Any = ..., *, big: bool = False, **options: Any) -> Any:
    """Return a described column; without a default it must be given.

    Args:
        comment: one sentence; it becomes the column's comment and its line in the docs.
        default: value where none is given.
        big: 64-bit integer on every database (sizes, nanoseconds).
        options: passed on to `sqlmodel.Field`.
    """
    if big:
        options["sa_type"] = BigInteger
    return Field(default, sa_column_kwargs={"comment": comment}, **options)


def key(comment: str) -> Any:
    """Return the integer primary key of a table."""
    return Field(None, primary_key=True, sa_column_kwargs={"comment": comment})


def one_of(name: str, *values: str, mostly_null: bool = False) -> CheckConstraint:
    """Return the CHECK that holds a text column to an enumeration (NULL passes).

    Args:
        name: of the column.
        values: that it may hold.
        mostly_null: let NULL pass at once. SQLite looks it up among the values otherwise, and
            that takes as long as writing a short row.
    """
    listed = ", ".join(f"'{value}'" for value in values)
    check = f"{name} IN ({listed})"
    return CheckConstraint(f"{name} IS NULL OR {check}" if mostly_null else check, name=name)
