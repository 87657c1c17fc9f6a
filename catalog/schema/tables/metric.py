"""Named numbers of runs: whole histories and summaries."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Index, SQLModel

from catalog.schema.tables.base import column, key, one_of


class MetricName(SQLModel, table=True):
    """The name of a metric, stored once."""

    __tablename__ = "metric_name"

    id: int | None = key("Number of the name.")
    name: str = column("Name, as the tracker has it.", unique=True)


class MetricAxis(SQLModel, table=True):
    """The axis of histories: what was logged together shares its steps and times."""

    __tablename__ = "metric_axis"
    __table_args__ = (Index("ix_metric_axis_file_id", "file_id"),)

    id: int | None = key("Number of the axis.")
    file_id: int = column("The file that tells it.", foreign_key="file.id")


class MetricAxisPoint(SQLModel, table=True):
    """Step and time of one place on an axis."""

    __tablename__ = "metric_axis_point"
    __table_args__ = ({"sqlite_with_rowid": False},)

    axis_id: int = column("The axis.", foreign_key="metric_axis.id", primary_key=True)
    position: int = column("Place on the axis, from 0.", primary_key=True)
    step: int | None = column("Step, where one is stated.", None, big=True)
    time: float | None = column("Seconds since 1970, UTC, where stated.", None)


class MetricSeries(SQLModel, table=True):
    """The history of one metric as one file tells it."""

    __tablename__ = "metric_series"
    __table_args__ = (
        Index(
            "ix_metric_series_run_directory_id_metric_name_id", "run_directory_id", "metric_name_id"
        ),
        Index("ix_metric_series_file_id", "file_id"),
        Index("ix_metric_series_metric_name_id", "metric_name_id"),
        Index("ix_metric_series_lowest", "lowest"),
        Index("ix_metric_series_highest", "highest"),
        Index(
            "ix_metric_series_points_of",
            "points_of",
            sqlite_where=text("points_of IS NOT NULL"),
            postgresql_where=text("points_of IS NOT NULL"),
        ),
    )

    id: int | None = key("Number of the series.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that tells it.", foreign_key="file.id")
    metric_name_id: int = column("The metric.", foreign_key="metric_name.id")
    axis_id: int | None = column(
        "Its steps and times; empty where none are stated.", None, foreign_key="metric_axis.id"
    )
    point_count: int = column("Points in the file; the setting `history` may keep fewer.")
    first_step: int | None = column("Least step of any point.", None, big=True)
    last_step: int | None = column("Greatest step of any point.", None, big=True)
    lowest: float | None = column("Least finite value.", None)
    highest: float | None = column("Greatest finite value.", None)
    final: float | None = column("Last finite value.", None)
    finite_count: int | None = column("Points that are finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where its last point is that.", None)
    special_from: int | None = column(
        "Step of the first point behind the last finite one.", None, big=True
    )
    points_of: int | None = column(
        "The longer series of the same run that its points are the first of: they stand there.",
        None,
    )


class MetricCut(SQLModel, table=True):
    """What counts of a series whose end was replaced when its run went on from an earlier step."""

    __tablename__ = "metric_cut"

    series_id: int = column(
        "The series.", foreign_key="metric_series.id", ondelete="CASCADE", primary_key=True
    )
    replaced_from: int = column("Step from which on its points count no more.", big=True)
    point_count: int | None = column("Points that count; empty where not all are kept.", None)
    first_step: int | None = column("Least step of any of them.", None, big=True)
    last_step: int | None = column("Greatest step of any of them.", None, big=True)
    lowest: float | None = column("Their least finite value.", None)
    highest: float | None = column("Their greatest finite value.", None)
    final: float | None = column("Their last finite value.", None)
    finite_count: int | None = column("How many of them are finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where the last of them is that.", None)
    special_from: int | None = column(
        "Step of the first of them behind the last finite one.", None, big=True
    )


class MetricPoint(SQLModel, table=True):
    """One value of a series; its step and time stand at the same place of the series' axis."""

    __tablename__ = "metric_point"
    # Ten million rows: the primary key is the table, no second copy of it.
    __table_args__ = (
        one_of("special", "nan", "inf", "-inf", mostly_null=True),
        {"sqlite_with_rowid": False},
    )

    series_id: int = column("The series.", foreign_key="metric_series.id", primary_key=True)
    position: int = column("Place in the series, from 0.", primary_key=True)
    value: float | None = column("The value; empty where it is not finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where it is not finite.", None)


class MetricSummary(SQLModel, table=True):
    """One summary value of a run as one file tells it."""

    __tablename__ = "metric_summary"
    __table_args__ = (
        one_of("special", "nan", "inf", "-inf"),
        Index(
            "ix_metric_summary_run_directory_id_metric_name_id",
            "run_directory_id",
            "metric_name_id",
        ),
        Index("ix_metric_summary_file_id", "file_id"),
        Index("ix_metric_summary_value", "value"),
    )

    id: int | None = key("Number of the row.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that tells it.", foreign_key="file.id")
    metric_name_id: int = column("The metric.", foreign_key="metric_name.id")
    value: float | None = column("The value; empty where it is not finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where it is not finite.", None)


class MetricDefinition(SQLModel, table=True):
    """What a tracker was told of a metric (W&B's `define_metric`)."""

    __tablename__ = "metric_definition"
    __table_args__ = (
        one_of("goal", "min", "max"),
        Index("ix_metric_definition_run_directory_id", "run_directory_id"),
        Index("ix_metric_definition_file_id", "file_id"),
    )

    id: int | None = key("Number of the row.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that tells it.", foreign_key="file.id")
    metric_name_id: int = column("The metric.", foreign_key="metric_name.id")
    step_metric: str | None = column("The metric on its x-axis, where it is not the step.", None)
    goal: str | None = column("Which values are better: min or max.", None)
    summary: str | None = column("What its summary holds, e.g. `max`, or `best,last`.", None)
