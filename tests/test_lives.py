"""A run that went on in several folders has one history: its lives, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.settings import Settings
from tests.support import wandb_files as w
from tests.support.event_files import event, scalar, session_start, write_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

RUN = "a1b2c3d4"
START = 1_760_722_339.0


def life(
    tree: Path,
    place: int,
    rows: Mapping[int, float],
    *,
    run: str = RUN,
    lr: float = 0.1,
    after: float | None = None,
    records: Iterable[bytes] = (),
    **parts: Any,
) -> Path:
    """Write one folder of a run that logged `loss` at these steps, a minute after the one before.

    Args:
        tree: what is ingested.
        place: which of its lives it is, from 0.
        rows: step and loss.
        run: its id.
        lr: its config.
        after: seconds from the first life's start to this one's.
        records: more records of the stream.
        parts: of the run record.
    """
    started = START + (place * 60 if after is None else after)
    history = [
        w.history({"loss": loss, "epoch": step, "_step": step, "_timestamp": started + i + 1})
        for i, (step, loss) in enumerate(rows.items())
    ]
    summary = [w.summary({"loss": [*rows.values()][-1]})] if rows else []
    folder = tree / "wandb" / f"offline-run-20251018_0232{19 + place:02}-{run}"
    w.write_stream(
        folder / f"run-{run}.wandb",
        [
            w.run(run, started=started, project="ocr", config={"lr": lr}, **parts),
            *history,
            *summary,
            *records,
            w.finish(),
        ],
    )
    return folder


def ingested(tmp_path: Path, **settings: Any) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db", settings=Settings(**settings) if settings else None)
    catalog.ingest([tmp_path / "tree"])
    return catalog


def page(catalog: Catalog, run: str = RUN) -> str:
    result = CliRunner().invoke(app, ["run", run, "--db", str(catalog.location.file)])
    assert result.exit_code == 0, result.output
    return result.stdout


def loss_rows(catalog: Catalog) -> list[list[Any]]:
    """What the query and the view say of `loss`: they say the same."""
    names = ("summary", "final", "points", "first_step", "last_step", "lowest", "highest")
    told = []
    for rows in (
        catalog.query("metrics", {"run": RUN, "metric": "loss"}).dicts(),
        [
            row
            for row in catalog.query("run_metrics").dicts()
            if (row["run"], row["metric"]) == (RUN, "loss")
        ],
    ):
        told.append([[row[name] for name in names] for row in rows])
    assert told[0] == told[1]
    return told[0]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def test_a_resumed_run_has_one_history_and_its_last_config(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {0: 1.0, 1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6})
    life(tree, 1, {5: 0.5, 6: 0.4}, lr=0.01)
    life(tree, 0, {0: 0.2}, run="otherlr1", lr=0.1)
    catalog = ingested(tmp_path)
    assert loss_rows(catalog) == [[0.4, 0.4, 7, 0, 6, 0.4, 1.0]]
    found = catalog.run(RUN)
    (curve,) = (one for one in found.curves if one["metric"] == "loss")
    assert curve["values"] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    text = page(catalog)
    assert "resumed at step 5" in text
    assert "0.4 to 1 over 7 points" in text
    assert "lr  0.01  1 of 1 have 0.1" in text
    assert f"1-{RUN}" not in next(line for line in text.splitlines() if " config  " in line)
    differing = {(one[0], one[1]): one[2:] for one in catalog.diff(RUN, "otherlr1").rows}
    assert differing["metric", "loss"] == (0.4, 0.2)
    assert differing["config", "lr"] == ("0.01", "0.1")
    points = catalog.query("history", {"run": RUN, "metric": "loss"}).rows
    assert [row[0] for row in points] == [0, 1, 2, 3, 4, 5, 6]


def test_a_later_life_replaces_steps_from_where_it_went_on(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {0: 1.0, 1: 0.9, 2: 0.1, 3: 2.0})
    life(tree, 1, {2: 0.8, 3: 0.7}, branch=(RUN, 1.0))
    catalog = ingested(tmp_path)
    assert loss_rows(catalog) == [[0.7, 0.7, 4, 0, 3, 0.7, 1.0]]
    assert "rewound from step 1" in page(catalog)
    points = catalog.query("history", {"run": RUN, "metric": "loss"}).rows
    assert [row[:2] for row in points] == [(0, 1.0), (1, 0.9), (2, 0.8), (3, 0.7)]
    (curve,) = (one for one in catalog.run(RUN).curves if one["metric"] == "loss")
    assert curve["values"] == [1.0, 0.9, 0.8, 0.7]


def test_a_life_asked_for_by_its_folder_tells_all_it_logged(tmp_path: Path, tree: Path) -> None:
    first = life(tree, 0, {0: 1.0, 1: 0.9, 2: 0.8})
    life(tree, 1, {1: 0.5})
    catalog = ingested(tmp_path)
    folder = first.relative_to(tree).as_posix()
    points = catalog.query("history", {"run": folder, "metric": "loss"}).rows
    assert [row[0] for row in points] == [0, 1, 2]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_in_which_lives_are_read_does_not_matter(
    tmp_path: Path, tree: Path, order: tuple[int, ...]
) -> None:
    lives = [{0: 5.0, 1: 4.0, 2: 3.0, 3: 2.0}, {2: 2.5, 3: 2.4, 4: 2.3}, {4: 1.0}]
    catalog = Catalog(tmp_path / "catalog.db")
    for place in order:
        life(tree, place, lives[place])
        catalog.ingest([tree])
    assert loss_rows(catalog) == [[1.0, 1.0, 5, 0, 4, 1.0, 5.0]]
    steps = [row[0] for row in catalog.query("history", {"run": RUN, "metric": "loss"}).rows]
    assert steps == [0, 1, 2, 3, 4]


def test_a_run_that_began_anew_under_its_id_says_so(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {0: 1.0, 1: 0.9, 2: 0.8}, records=[w.summary({"only_first": 1.0})])
    life(tree, 1, {0: 0.5})
    catalog = ingested(tmp_path)
    assert loss_rows(catalog) == [[0.5, 0.5, 1, 0, 0, 0.5, 0.5]]
    assert "began anew at step 0" in page(catalog)


def test_processes_that_log_side_by_side_are_no_lives(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, dict.fromkeys(range(5), 1.0))
    life(tree, 1, dict.fromkeys(range(5), 0.5), after=2.5)
    rows = ingested(tmp_path).query("metrics", {"run": RUN, "metric": "loss"}).dicts()
    assert [row["points"] for row in rows] == [5, 5]


def test_without_its_points_a_replaced_history_is_not_counted(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {0: 1.0, 1: 0.9, 2: 0.1})
    life(tree, 1, {2: 0.8})
    catalog = ingested(tmp_path, history="last")
    assert [row[:2] for row in loss_rows(catalog)] == [[0.8, 0.8]]


def test_a_forked_run_names_the_run_it_was_forked_from(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {0: 1.0, 1: 0.9}, run="forkbase")
    life(tree, 1, {2: 0.8}, branch=("forkbase", 1.0))
    catalog = ingested(tmp_path)
    assert "forked from forkbase at step 1" in page(catalog)
    (row,) = catalog.query("lineage").dicts()
    assert (row["run"], row["named_as"], row["named"]) == (RUN, "forked-from", "forkbase at step 1")


def test_what_the_server_said_of_a_resumption_is_told(tmp_path: Path, tree: Path) -> None:
    life(tree, 0, {7: 0.3}, resumed=True, starting_step=7)
    assert "resumed at step 7" in page(ingested(tmp_path))


@pytest.mark.parametrize(
    ("exit_code", "state", "basis"),
    [(1, "interrupted", "preempted, exit code 1"), (0, "finished", "exit code 0")],
)
def test_a_preempted_run_is_told(
    tmp_path: Path, tree: Path, exit_code: int, state: str, basis: str
) -> None:
    w.write_stream(
        tree / "wandb" / f"offline-run-20251018_023219-{RUN}" / f"run-{RUN}.wandb",
        [w.run(RUN, started=START), w.field(23, b""), w.finish(exit_code)],
    )
    run = ingested(tmp_path).run(RUN).run
    assert (run["state"], run["state_basis"]) == (state, basis)


def special_row(catalog: Catalog) -> dict[str, Any]:
    names = ("final", "last_special", "special_from", "points", "finite")
    (row,) = catalog.query("metrics", {"run": RUN, "metric": "loss"}).dicts()
    (view,) = (one for one in catalog.query("run_metrics").dicts() if one["metric"] == "loss")
    assert [row[name] for name in names] == [view[name] for name in names]
    return row


NAN = float("nan")


def diverging(tree: Path, rows: Mapping[int, float], place: int = 0) -> None:
    """Write a life that has no summary."""
    started = START + 60 * place
    records = [
        w.history({"loss": loss, "_step": step, "_timestamp": started + i})
        for i, (step, loss) in enumerate(rows.items())
    ]
    folder = tree / "wandb" / f"offline-run-20251018_0232{19 + place:02}-{RUN}"
    w.write_stream(folder / f"run-{RUN}.wandb", [w.run(RUN, started=started), *records])


@pytest.mark.parametrize("end", ["nan", "inf", "-inf"])
def test_the_last_value_of_a_run_that_diverged_is_no_number(
    tmp_path: Path, tree: Path, end: str
) -> None:
    diverging(tree, {0: 0.9, 1: NAN, 2: 0.5, 3: NAN, 4: float(end)})
    catalog = ingested(tmp_path)
    row = special_row(catalog)
    assert (row["final"], row["last_special"], row["special_from"]) == (0.5, end, 3)
    assert (row["points"], row["finite"]) == (5, 2)
    line = next(line for line in page(catalog).splitlines() if " loss  " in line)
    assert f"loss  {end}" in line
    assert f"0.5 to 0.9 over 2 finite of 5 points, {end} since step 3" in line


def test_a_run_that_came_back_from_nan_ends_with_a_number(tmp_path: Path, tree: Path) -> None:
    diverging(tree, {0: 0.9, 1: NAN, 2: 0.5})
    row = special_row(ingested(tmp_path))
    assert (row["final"], row["last_special"], row["special_from"]) == (0.5, None, None)


def test_since_when_it_diverged_is_told_over_lives_and_readings(tmp_path: Path, tree: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    rows = {0: 0.9, 1: 0.8, 2: NAN}
    for more in ({}, {3: NAN}, {4: NAN, 5: NAN}):
        rows |= more
        diverging(tree, rows)
        catalog.ingest([tree])
        assert special_row(catalog)["special_from"] == 2
    diverging(tree, {6: NAN, 7: NAN}, place=1)
    catalog.ingest([tree])
    row = special_row(catalog)
    assert (row["final"], row["special_from"], row["points"]) == (0.8, 2, 8)
    diverging(tree, {7: 0.1}, place=2)
    catalog.ingest([tree])
    assert special_row(catalog)["last_special"] is None


def test_two_runs_of_which_one_diverged_differ(tmp_path: Path, tree: Path) -> None:
    diverging(tree, {0: 0.9, 1: NAN})
    life(tree, 1, {0: 0.9}, run="otherlr1")
    differing = {one[1]: one[2:] for one in ingested(tmp_path).diff(RUN, "otherlr1").rows}
    assert differing["loss"] == ("nan", 0.9)


def logged(
    values: Mapping[int, float], start: float, *before: bytes, tag: str = "loss"
) -> list[bytes]:
    return [
        *before,
        *(
            event(start + i, step, scalar(tag, value))
            for i, (step, value) in enumerate(values.items())
        ),
    ]


TB = 1_760_722_339


def events_row(catalog: Catalog, metric: str = "loss") -> tuple[Any, ...]:
    names = ("points", "first_step", "last_step", "lowest", "final")
    (row,) = catalog.query("metrics", {"run": "runs/a", "metric": metric}).dicts()
    (view,) = (one for one in catalog.query("run_metrics").dicts() if one["metric"] == metric)
    assert [row[name] for name in names] == [view[name] for name in names]
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("process", [4711, 4800])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_a_restart_purges_counts_no_more(
    tmp_path: Path, tree: Path, order: tuple[int, ...], process: int
) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    for place in order:
        if place:
            rows = logged({5: 1.5, 6: 1.25}, TB + 100, session_start(TB + 100.0, 5))
            write_events(tree / "runs" / "a", rows, started=TB + 100, process=process)
        else:
            rows = logged({step: 1 - step / 16 for step in range(10)}, TB)
            write_events(tree / "runs" / "a", rows, started=TB)
        catalog.ingest([tree])
    assert events_row(catalog) == (7, 0, 6, 0.75, 1.25)
    found = catalog.run("runs/a")
    assert found.curves[0]["values"] == [1, 0.9375, 0.875, 0.8125, 0.75, 1.5, 1.25]
    assert "resumed at step 5" in page(catalog, "runs/a")


def test_another_process_replaces_the_steps_that_it_logs_again(tmp_path: Path, tree: Path) -> None:
    folder = tree / "runs" / "a"
    write_events(folder, logged({1: 0.5, 2: 0.25, 3: 0.125}, TB), started=TB)
    write_events(
        folder, logged({3: 1.0, 4: 2.0}, TB + 100), started=TB + 100, process=9, host="gpu2"
    )
    assert events_row(ingested(tmp_path)) == (4, 1, 4, 0.25, 2.0)


def test_hparams_that_torch_writes_beside_replace_nothing(tmp_path: Path, tree: Path) -> None:
    folder = tree / "runs" / "a"
    write_events(folder, logged({1: 0.5, 2: 0.25}, TB), started=TB)
    write_events(folder / "1760722400.5", logged({0: 0.25}, TB + 61), started=TB + 61)
    assert events_row(ingested(tmp_path)) == (3, 0, 2, 0.25, 0.25)


def test_processes_that_write_at_once_replace_nothing(tmp_path: Path, tree: Path) -> None:
    folder = tree / "runs" / "a"
    for rank in range(2):
        path = write_events(
            folder, logged(dict.fromkeys(range(9), 0.5), TB), started=TB + rank, process=40 + rank
        )
        path.rename(path.with_name(f"{path.name}.rank{rank}"))
    catalog = ingested(tmp_path)
    assert events_row(catalog)[0] == 18
    assert catalog.run("runs/a").run["host"] == "gpu1"


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("vm.3789.8.rank0", "vm"),
        ("vm.3789.8_rank0", "vm"),
        ("node-1.cluster.lan.3789.8.v2", "node-1.cluster.lan"),
        ("10.0.0.17.3789.8", "10.0.0.17"),
        ("vm.3789.8.0", "vm"),
        ("myhost", "myhost"),
        ("myhost.v2", "myhost"),
    ],
)
def test_the_host_of_an_event_file_is_a_machine(
    tmp_path: Path, tree: Path, name: str, host: str
) -> None:
    path = write_events(tree / "runs" / "a", logged({1: 0.5}, TB), started=TB)
    path.rename(path.with_name(f"events.out.tfevents.{TB}.{name}"))
    assert ingested(tmp_path).run("runs/a").run["host"] == host


@pytest.mark.parametrize("step_by_step", [False, True])
def test_two_trainings_that_wrote_into_one_folder_are_two_runs(
    tmp_path: Path, tree: Path, *, step_by_step: bool
) -> None:
    folder, day = tree / "runs" / "a", 24 * 3600
    files = [
        (logged({0: 0.5, 1: 0.25, 2: 0.125}, TB), TB, 4711),
        (logged({0: 4.0, 1: 3.0}, TB + day), TB + day, 815),
    ]
    catalog = Catalog(tmp_path / "catalog.db")
    for rows, started, process in files:
        write_events(folder, rows, started=started, process=process)
        if step_by_step:
            catalog.ingest([tree])
    catalog.ingest([tree])
    found = {row["first_directory"]: row["started_at"] for row in catalog.query("runs").dicts()}
    second = f"runs/a/events.out.tfevents.{TB + day}.gpu1.815.0"
    assert found == {
        "runs/a": "2025-10-17T17:32:19.000000Z",
        second: "2025-10-18T17:32:19.000000Z",
    }
    (row,) = catalog.query("metrics", {"run": "runs/a", "metric": "loss"}).dicts()
    assert (row["points"], row["final"]) == (3, 0.125)
    (row,) = catalog.query("metrics", {"run": second, "metric": "loss"}).dicts()
    assert (row["points"], row["final"]) == (2, 3.0)


def test_a_resumed_run_whose_client_counts_steps_anew_keeps_all_its_lives(
    tmp_path: Path, tree: Path
) -> None:
    for place, epochs in enumerate(([0.0, 1.0, 2.0], [2.5, 3.0, 4.0])):
        started = START + 60 * place
        rows = [
            w.history(
                {
                    "loss": 1 / (1 + epoch),
                    "loss_step": 0.5 - place,
                    "epoch": epoch,
                    "_step": step,
                    "_timestamp": started,
                }
            )
            for step, epoch in enumerate(epochs)
        ]
        folder = tree / "wandb" / f"offline-run-20251018_0232{19 + place:02}-{RUN}"
        w.write_stream(folder / f"run-{RUN}.wandb", [w.run(RUN, started=started), *rows])
    catalog = ingested(tmp_path)
    assert [row[2:5] for row in loss_rows(catalog)] == [[6, 0, 2]]
    assert "resumed; its steps count from 0 again" in page(catalog)


def test_a_sweep_s_config_is_no_life(tmp_path: Path, tree: Path) -> None:
    w.write_run_directory(tree / "wandb", RUN, rows=[{"loss": 1.0}], config={"lr": 0.1})
    sweep = tree / "wandb" / "sweep-bpvxa6nz"
    sweep.mkdir()
    (sweep / f"config-{RUN}.yaml").write_text("wandb_version: 1\nlr:\n  value: 0.1\n")
    rows = ingested(tmp_path).sql("SELECT life, beginning FROM run_directory").rows
    assert set(rows) == {(None, None)}
    assert len(rows) == 2


def test_a_life_before_which_nothing_was_logged_resumed_at_no_step(
    tmp_path: Path, tree: Path
) -> None:
    life(tree, 0, {})
    life(tree, 1, {0: 1.0})
    assert "resumed; nothing was logged before" in page(ingested(tmp_path))
