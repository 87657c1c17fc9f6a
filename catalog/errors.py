"""Every exception that catalog raises for its users.

CatalogError
├── UsageError            the request itself is wrong (exit code 2)
├── SourceError           a path to ingest, inspect or write to cannot be used
├── DatabaseError         the database cannot be used
│   ├── DatabaseMissing     no file there
│   ├── NotACatalog         a file, but no catalog
│   ├── SchemaOlder         an upgrade is due
│   ├── SchemaNewer         made by a newer catalog
│   └── DatabaseBusy        somebody else is writing
├── QueryError            a query cannot be answered
│   ├── UnknownQuery        no query or view of that name (exit code 2)
│   ├── NotFound            no checkpoint or run like that
│   ├── Ambiguous           several checkpoints or runs like that
│   └── QueryLimit          out of time or rows
└── RecoveryError         recovery cannot go on

The text of each is a sentence for a person: the file, what is wrong, what to try.
"""

from __future__ import annotations


class CatalogError(Exception):
    """Something a user can mend; its text says what and how."""

    exit_code = 1


class UsageError(CatalogError):
    """The request contradicts itself or names something that does not exist."""

    exit_code = 2


class SourceError(CatalogError):
    """A path given to ingest, inspect or report cannot be used."""


class DatabaseError(CatalogError):
    """The catalog's database cannot be used."""


class DatabaseMissing(DatabaseError):
    """There is no database at the place named."""


class NotACatalog(DatabaseError):
    """The file exists, but it is no catalog."""


class SchemaOlder(DatabaseError):
    """The database was made by an older catalog and must be upgraded first."""


class SchemaNewer(DatabaseError):
    """The database was made by a newer catalog than this one."""


class DatabaseBusy(DatabaseError):
    """Another process holds the database for writing."""


class QueryError(CatalogError):
    """A query cannot be answered."""


class UnknownQuery(QueryError):
    """No query or view has that name: like an option that does not exist, it is wrong usage."""

    exit_code = 2


class NotFound(QueryError):
    """No checkpoint or run fits what was asked for."""


class Ambiguous(QueryError):
    """Several checkpoints or runs fit what was asked for."""


class QueryLimit(QueryError):
    """The query ran out of its time or row limit."""


class RecoveryError(CatalogError):
    """A recovery cannot be planned or carried out."""
