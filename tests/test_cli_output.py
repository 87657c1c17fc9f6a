from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.cli.main import app
from catalog.cli.options import Format
from catalog.cli.output import print_rows
from catalog.query.rows import Rows
from catalog.query.values import human_size, shown, visible
from catalog.report.tables import code, markdown_lines
from tests.support.rows import BEST, fill
from tests.support.terminal import on_terminal

if TYPE_CHECKING:
    from pathlib import Path

ODD = Rows(
    ("path", "size", "value", "nothing", "raw"),
    [
        ('a,"b"\t|`x`\n', 2_000_000, math.inf, None, b"\x00\xff"),
        ("한글", 0, math.nan, None, b""),
    ],
)
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
values = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), texts)
tables = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Rows,
        st.just(tuple(f"c{number}" for number in range(width))),
        st.lists(st.tuples(*[values] * width), max_size=5),
    )
)
modest = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def printed(capsys: pytest.CaptureFixture[str], rows: Rows, form: Format) -> str:
    print_rows(rows, form)
    return capsys.readouterr().out


def as_read(value: Any) -> Any:
    """What a value must be once it went through JSON."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def strict(text: str) -> Any:
    """Read JSON as a reader does that knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@modest
@given(tables)
def test_json_gives_back_the_values(capsys: pytest.CaptureFixture[str], rows: Rows) -> None:
    expected = [{key: as_read(value) for key, value in row.items()} for row in rows.dicts()]
    assert strict(printed(capsys, rows, Format.JSON)) == expected
    lines = printed(capsys, rows, Format.NDJSON).split("\n")[:-1]
    assert [strict(line) for line in lines] == expected


@modest
@given(tables, st.sampled_from([Format.CSV, Format.TSV]))
def test_csv_and_tsv_give_back_the_texts(
    capsys: pytest.CaptureFixture[str], rows: Rows, form: Format
) -> None:
    delimiter = "," if form is Format.CSV else "\t"
    text = printed(capsys, rows, form)
    header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert tuple(header) == rows.columns
    expected = [["" if value is None else str(value) for value in row] for row in rows.rows]
    assert lines == expected


@modest
@given(tables)
def test_markdown_has_a_line_a_row_whatever_is_in_it(rows: Rows) -> None:
    lines = "".join(markdown_lines(rows.columns, rows.rows)).split("\n")[:-1]
    assert len(lines) == len(rows.rows) + 2
    bars = len(rows.columns) + 1
    for line in lines:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == bars


@given(texts)
def test_a_code_span_cannot_end_the_cell(text: str) -> None:
    span = code(text)
    assert "\n" not in span
    assert span.replace("\\|", "").count("|") == 0


@given(st.text(max_size=40))
def test_visible_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert not any(
        ord(character) < 32 or 127 <= ord(character) < 160 for character in visible(text)
    )


def test_odd_values_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert strict(printed(capsys, ODD, Format.JSON))[0] == {
        "path": 'a,"b"\t|`x`\n',
        "size": 2_000_000,
        "value": "inf",
        "nothing": None,
        "raw": "00ff",
    }
    assert printed(capsys, ODD, Format.CSV).endswith("한글,0,nan,,\n")
    assert r"a,\"b\"" not in printed(capsys, ODD, Format.TSV)
    assert r"\|\`x\`" in printed(capsys, ODD, Format.MD)
    table = printed(capsys, ODD, Format.TABLE)
    assert "2.0 MB" in table
    assert r"\t|`x`\n" in table


def test_no_rows_are_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    none = Rows(("a", "b"), [])
    assert printed(capsys, none, Format.JSON) == "[]\n"
    assert printed(capsys, none, Format.NDJSON) == ""
    assert printed(capsys, none, Format.CSV) == "a,b\n"
    print_rows(none, Format.TABLE)
    assert capsys.readouterr() == ("", "No rows.\n")


def test_a_plain_table_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    text = printed(capsys, Rows(("path", "size"), [(long, 1_500), ("한글", None)]), Format.TABLE)
    header, line, first, second = text.splitlines()
    assert header == "path" + " " * 500 + "size"
    assert line == "-" * 500 + "  " + "-" * 6
    assert first == f"{long}  1.5 kB"
    assert second == "한글"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (202_300_000, "202.3 MB"),
        (8 * 10**9, "8.0 GB"),
    ],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    assert human_size(count) == text


def test_values_are_shown_by_their_columns() -> None:
    assert shown("time", 1760709984.015) == "2025-10-17 14:06:24Z"
    assert shown("time", 12.5) == "12.5"
    assert shown("size", 1_000) == "1.0 kB"
    assert shown("epoch", 1_000) == "1000"
    assert shown("at", "2025-10-17T19:29:34.123456Z") == "2025-10-17 19:29:34Z"
    assert shown("x", 0.1 + 0.2) == "0.3"
    assert shown("x", None) == ""


def test_a_wide_terminal_draws_columns_and_a_narrow_one_records(empty_db: Path) -> None:
    env = {"CATALOG_DB": str(fill(empty_db))}
    wide = on_terminal("query", "--unusable", columns=290, env=env)
    assert "config_source" in wide.splitlines()[1]
    narrow = on_terminal("query", "--unusable", columns=80, env=env)
    assert "2 of 4" in narrow
    assert BEST in narrow.replace("\n", "").replace(" ", "")
    assert max(map(len, narrow.splitlines())) <= 80
    assert "/data/ocr" in wide


def test_a_terminal_shows_the_tree_and_the_bar(empty_db: Path) -> None:
    env = {"CATALOG_DB": str(fill(empty_db))}
    assert "├── run  linked" in on_terminal("trace", BEST, columns=80, env=env)
    assert "█" in on_terminal("status", columns=80, env=env)


@pytest.mark.parametrize(
    "arguments",
    [["trace", BEST], ["trace", BEST, "--lineage"], ["run", "tit2247i"]],
    ids=lambda arguments: " ".join(arguments).replace(BEST, "PATH"),
)
def test_a_tree_is_the_same_in_a_pipe(empty_db: Path, arguments: list[str]) -> None:
    env = {"CATALOG_DB": str(fill(empty_db))}
    piped = CliRunner().invoke(app, arguments, env=env)
    drawn = on_terminal(*arguments, columns=1000, env=env)
    assert [line.rstrip() for line in drawn.splitlines()] == piped.output.splitlines()
    assert "├── " in drawn


def test_a_terminal_shows_a_bar_while_an_ingest_reads(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "last.ckpt").touch()
    env = {"CATALOG_DB": str(tmp_path / "new.db")}
    shown = on_terminal("ingest", str(tmp_path / "tree"), env=env)
    assert "━" in shown
    assert "1 checkpoint: 0 usable, 1 not" in shown


def test_a_report_never_overwrites_a_database(ocr_db: Path) -> None:
    before = ocr_db.read_bytes()
    result = CliRunner().invoke(app, ["report", "--db", str(ocr_db), "-o", str(ocr_db)])
    assert result.exit_code == 1
    assert "is a database" in result.stderr
    assert ocr_db.read_bytes() == before
