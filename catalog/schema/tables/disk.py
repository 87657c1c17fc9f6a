"""What was scanned, when, and what could not be read."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key, one_of


class Root(SQLModel, table=True):
    """A directory tree that was ingested, on the host where it is."""

    __table_args__ = (UniqueConstraint("host", "path"),)

    id: int | None = key("Number of the root.")
    host: str = column("Name of the machine that saw the tree last.")
    path: str = column("Absolute path of the tree on that machine.")
    added_at: str = column("When it was first ingested, UTC.")


class RootHost(SQLModel, table=True):
    """A name of a machine under which a tree was seen: one disk may be mounted by several."""

    __tablename__ = "root_host"

    root_id: int = column("The tree.", foreign_key="root.id", primary_key=True)
    host: str = column("Name of the machine.", primary_key=True)
    seen_at: str = column("When it last saw the tree, UTC.")
    inode: int | None = column("Inode of the tree's folder as it saw it then.", None, big=True)


class KeptSetting(SQLModel, table=True):
    """A setting that holds for this catalog, whoever works with it, until it is forgotten."""

    __tablename__ = "setting"

    name: str = column("Name, as `catalog settings` lists it.", primary_key=True)
    value: str = column("The value as JSON.")
    kept_at: str = column("Since when, UTC.")


class Ingest(SQLModel, table=True):
    """One ingest: what it looked at and what stood in the catalog at its end."""

    __table_args__ = (one_of("status", "running", "finished", "interrupted", "failed"),)

    id: int | None = key("Number of the ingest.")
    status: str = column("running, finished, interrupted or failed.")
    cause: str = column("`ingest`, or `recovery N` where a recovery looked at its own work.")
    started_at: str = column("Start, UTC.")
    finished_at: str | None = column("End, UTC.", None)
    catalog_version: str = column("Version of catalog that did it.")
    paths: str = column("The paths asked for, a JSON list.")
    settings: str = column("The settings that decided links and usability, a JSON object.")
    files_seen: int = column("Items that some reader recognised.", 0)
    files_read: int = column("Of these, opened: new, changed, or read by an older reader.", 0)
    files_unchanged: int = column("Of these, not opened again.", 0)
    files_missing: int = column("Known items that were newly found gone.", 0)
    problems: int = column("Problems open at its end.", 0)


class File(SQLModel, table=True):
    """One item on disk that a reader recognised: a file, or a directory that is one checkpoint."""

    __table_args__ = (
        UniqueConstraint("root_id", "path"),
        one_of("state", "present", "missing"),
        # All that `data_sources` adds up: it never has to look at the rows.
        Index("ix_file_reader_state_size", "reader", "state", "size"),
        # Only of what was hashed: most catalogs hold no sum at all.
        Index(
            "ix_file_sha256",
            "sha256",
            sqlite_where=text("sha256 IS NOT NULL"),
            postgresql_where=text("sha256 IS NOT NULL"),
        ),
    )

    id: int | None = key("Number of the file.")
    root_id: int = column("The tree it lies in.", foreign_key="root.id")
    path: str = column("Path below the root, `/` between parts.")
    reader: str = column("The reader that understands it.")
    reader_version: int = column("Version of that reader when it was read.")
    state: str = column("present, or missing since an ingest did not find it any more.")
    size: int = column("Bytes; of a directory the sum over its parts.", big=True)
    mtime_ns: int = column("Modification time, nanoseconds since 1970, UTC.", big=True)
    modified_at: str | None = column("The same as text, UTC.", None)
    inode: int = column("Inode when it was read.", big=True)
    is_link: bool = column("A symbolic link to a file inside the root.", False)
    sha256: str | None = column("SHA-256 of its content, where `ingest --hash` took it.", None)
    first_ingest_id: int = column("The ingest that first saw it.", foreign_key="ingest.id")
    read_ingest_id: int = column("The ingest that last opened it.", foreign_key="ingest.id")
    missing_ingest_id: int | None = column(
        "The ingest that found it gone.", None, foreign_key="ingest.id"
    )
    md5: str | None = column(
        "MD5 of its content, base64, as W&B's artifacts state it; taken with the SHA-256.", None
    )


class FileBookmark(SQLModel, table=True):
    """Where the last reading of a file that still grows came to: the next one goes on there."""

    __tablename__ = "file_bookmark"

    file_id: int = column("The file.", foreign_key="file.id", primary_key=True)
    state: str = column(
        "JSON of its reader: place, fingerprint of what stands before it, and what later records "
        "build on. No text of configs and logs."
    )


class Problem(SQLModel, table=True):
    """Something that could not be read or understood; it never stops an ingest."""

    __table_args__ = (Index("ix_problem_file_id", "file_id"),)

    id: int | None = key("Number of the problem.")
    root_id: int = column("The tree it lies in.", foreign_key="root.id")
    file_id: int | None = column("The file, where it is a known one.", None, foreign_key="file.id")
    path: str = column("Path below the root.")
    code: str = column("Short name that scripts can count, e.g. `truncated-stream`.")
    message: str = column("A sentence: what is wrong and what to try.")
    first_ingest_id: int = column("The ingest that first met it.", foreign_key="ingest.id")
    resolved_ingest_id: int | None = column(
        "The ingest that met it no more; empty while it is open.", None, foreign_key="ingest.id"
    )
