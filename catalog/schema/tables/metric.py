"""Named numbers of runs: whole histories and summaries."""

from __future__ import annotations

from sqlmodel import Index, SQLModel

from catalog.schema.tables.base import column, key, one_of


class MetricName(SQLModel, table=True):
    """The name of a metric, stored once."""

    __tablename__ = "metric_name"

    id: int | None = key("Number of the name.")
    name: str = column("Name, as the tracker has it.", unique=True)


class MetricSeries(SQLModel, table=True):
    """The history of one metric as one file tells it."""

    __tablename__ = "metric_series"
    __table_args__ = (
        Index("ix_metric_series_run_directory_id", "run_directory_id"),
        Index("ix_metric_series_file_id", "file_id"),
        Index("ix_metric_series_metric_name_id", "metric_name_id"),
        Index("ix_metric_series_lowest", "lowest"),
        Index("ix_metric_series_highest", "highest"),
    )

    id: int | None = key("Number of the series.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that tells it.", foreign_key="file.id")
    metric_name_id: int = column("The metric.", foreign_key="metric_name.id")
    point_count: int = column("How many points.")
    first_step: int | None = column("Least step of any point.", None, big=True)
    last_step: int | None = column("Greatest step of any point.", None, big=True)
    lowest: float | None = column("Least finite value.", None)
    highest: float | None = column("Greatest finite value.", None)


class MetricPoint(SQLModel, table=True):
    """One value of a series."""

    __tablename__ = "metric_point"
    # Ten million rows: the primary key is the table, no second copy of it.
    __table_args__ = (one_of("special", "nan", "inf", "-inf"), {"sqlite_with_rowid": False})

    series_id: int = column("The series.", foreign_key="metric_series.id", primary_key=True)
    position: int = column("Place in the series, from 0.", primary_key=True)
    step: int | None = column("Step, where one is stated.", None, big=True)
    time: float | None = column("Seconds since 1970, UTC, where stated.", None)
    value: float | None = column("The value; empty where it is not finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where it is not finite.", None)


class MetricSummary(SQLModel, table=True):
    """One summary value of a run as one file tells it."""

    __tablename__ = "metric_summary"
    __table_args__ = (
        one_of("special", "nan", "inf", "-inf"),
        Index("ix_metric_summary_run_directory_id", "run_directory_id"),
        Index("ix_metric_summary_file_id", "file_id"),
        Index("ix_metric_summary_value", "value"),
    )

    id: int | None = key("Number of the row.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that tells it.", foreign_key="file.id")
    metric_name_id: int = column("The metric.", foreign_key="metric_name.id")
    value: float | None = column("The value; empty where it is not finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where it is not finite.", None)
