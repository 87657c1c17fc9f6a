"""A person's word on a link: it stands through ingests and moves until it is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import NotFound, UsageError
from tests.support.trees import Training


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two tracked trainings, and one that nobody tracked."""
    root = tmp_path / "tree"
    Training(name="first", run_id="a1b2c3d4").write(root)
    Training(name="second", run_id="e5f6g7h8", begin=600, scores=(0.1234567, 0.2345678)).write(root)
    Training(name="nobody", run_id=None, begin=1200, scores=(0.3456789,)).write(root)
    return root


@pytest.fixture
def found(tmp_path: Path, tree: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    return catalog


def verdict(catalog: Catalog, part: str) -> tuple[str, str | None, str | None]:
    row = catalog.trace(part).checkpoint
    return row["verdict"], row["run"], row["decided_by"]


def test_evidence_alone_links_two_and_leaves_one(found: Catalog) -> None:
    assert verdict(found, "first-") == ("linked", "a1b2c3d4", "evidence")
    assert verdict(found, "second-") == ("linked", "e5f6g7h8", "evidence")
    assert verdict(found, "nobody-")[0] == "unlinked"


def test_a_pin_counts_as_linked_everywhere_and_outlives_ingests(found: Catalog, tree: Path) -> None:
    found.pin("nobody-", "e5f6g7h8", "It ran on my laptop.")
    assert verdict(found, "nobody-") == ("linked", "e5f6g7h8", "person")
    (evidence, *_) = found.trace("nobody-").candidates[0]["evidence"]
    assert evidence["kind"] == "person"
    assert "It ran on my laptop." in evidence["detail"]
    (tree / "wandb" / "note.txt").write_text("x")
    checkpoint = next(tree.glob("outputs/nobody-*/checkpoints/best.ckpt"))
    checkpoint.touch()
    found.ingest([tree])
    found.ingest([tree])
    assert verdict(found, "nobody-") == ("linked", "e5f6g7h8", "person")
    runs = {row["run"]: row["checkpoints"] for row in found.query("run_overview").dicts()}
    assert runs["e5f6g7h8"] == 2


def test_a_pin_follows_the_file(found: Catalog, tree: Path) -> None:
    found.pin("nobody-", "e5f6g7h8", "It ran on my laptop.")
    old = next(tree.glob("outputs/nobody-*"))
    old.rename(tree / "kept")
    found.ingest([tree])
    (tree / "kept").rename(tree / "final")
    found.ingest([tree])
    assert verdict(found, "final/") == ("linked", "e5f6g7h8", "person")
    before = [move["path"] for move in found.trace("final/").moves]
    assert before == [
        "kept/checkpoints/best.ckpt",
        f"outputs/{old.name}/checkpoints/best.ckpt",
    ]
    found.unpin("final/")
    assert verdict(found, "final/")[0] == "unlinked"


def test_a_rejected_run_stays_out_and_is_shown(found: Catalog, tree: Path) -> None:
    found.reject("first-", "a1b2c3d4", "The folder was overwritten.")
    assert verdict(found, "first-")[0] == "unlinked"
    (rejected,) = [row for row in found.trace("first-").candidates if row["decided_by"] == "person"]
    assert (rejected["run"], rejected["verdict"]) == ("a1b2c3d4", "rejected")
    found.ingest([tree])
    assert verdict(found, "first-")[0] == "unlinked"
    found.unpin("first-", "a1b2c3d4")
    assert verdict(found, "first-") == ("linked", "a1b2c3d4", "evidence")


def test_the_last_pin_counts(found: Catalog) -> None:
    found.pin("first-", "e5f6g7h8", "I saw it.")
    assert verdict(found, "first-")[1] == "e5f6g7h8"
    found.pin("first-", "a1b2c3d4", "I was wrong.")
    assert verdict(found, "first-") == ("linked", "a1b2c3d4", "person")
    assert [row["run"] for row in found.query("decisions").dicts()] == ["a1b2c3d4"]


def test_a_catalog_made_anew_from_the_same_files_and_words_is_the_same(
    found: Catalog, tree: Path, tmp_path: Path
) -> None:
    found.pin("nobody-", "e5f6g7h8", "It ran on my laptop.")
    found.unpin("nobody-")
    fresh = Catalog(tmp_path / "fresh.db", host="here")
    fresh.ingest([tree])
    sql = "SELECT checkpoint_id, run, verdict, score FROM checkpoint_trace ORDER BY 1"
    assert found.sql(sql).rows == fresh.sql(sql).rows


def test_what_cannot_be_said(found: Catalog) -> None:
    with pytest.raises(UsageError, match="--reason"):
        found.pin("first-", "a1b2c3d4", "  ")
    with pytest.raises(NotFound, match="No run"):
        found.pin("first-", "zzzzzzzz", "x")
    with pytest.raises(NotFound, match="decisions"):
        found.unpin("first-")
    assert found.query("decisions").rows == []


def test_the_commands(found: Catalog) -> None:
    db = str(found.location.file)
    pinned = command("link", "pin", "nobody-", "e5f6g7h8", "--reason", "mine", "--db", db)
    assert pinned.exit_code == 0
    assert pinned.stdout.endswith("best.ckpt is pinned to e5f6g7h8.\n")
    assert "pinned" in command("trace", "nobody-", "--db", db).stdout
    back = command("link", "unpin", "nobody-", "--db", db)
    assert back.stdout.endswith("best.ckpt is unlinked.\n")
    again = command("link", "unpin", "nobody-", "--db", db)
    assert again.exit_code == 1


def test_why_not_names_what_rules_a_run_out(found: Catalog) -> None:
    explanation = found.why_not("first-", "e5f6g7h8")
    assert explanation.verdict in {"rejected", "unrelated"}
    assert any("0.723127" in reason for reason in explanation.reasons)
    assert any("a1b2c3d4 fits better" in reason for reason in explanation.reasons)
    linked = found.why_not("first-", "a1b2c3d4")
    assert linked.reasons == ["It is the run that the checkpoint is linked to."]
    shown = command("trace", "first-", "--why-not", "e5f6g7h8", "--db", str(found.location.file))
    assert "score-not-recorded" in shown.stdout
