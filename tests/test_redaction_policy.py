"""A setting adds keys that hold credentials, or turns redaction off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from catalog.errors import UsageError
from catalog.settings import Settings
from tests.support.wandb_files import write_run_directory

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {
    "api_key": "abcdef123456",
    "db": {"host": "db.example.org", "pin": 1234},
    "pin": 99,
    "lr": 0.1,
}


def values(tmp_path: Path, *pairs: str) -> dict[str, str]:
    write_run_directory(
        tmp_path / "tree" / "wandb", "a1b2c3d4", config=CONFIG, args=["api_key=abc"]
    )
    catalog = Catalog(tmp_path / "c.db", Settings.parse(pairs))
    catalog.ingest([tmp_path / "tree"])
    rows: list[dict[str, Any]] = catalog.query("config", {"run": "a1b2c3d4"}).dicts()
    found = {row["key"]: row["text"] for row in rows if row["kind"] == "wandb-stream"}
    (run,) = catalog.query("run_overview").dicts()
    return found | {"args": run["arguments"]}


def test_known_names_are_redacted_by_default(tmp_path: Path) -> None:
    assert values(tmp_path) == {
        "api_key": "<redacted>", "db.host": "db.example.org", "db.pin": "1234", "pin": "99",
        "lr": "0.1", "args": '["api_key=<redacted>"]',
    }  # fmt: skip


def test_further_keys_are_redacted_by_their_last_part(tmp_path: Path) -> None:
    found = values(tmp_path, "secret_keys=PIN")
    assert found["db.pin"] == found["pin"] == found["api_key"] == "<redacted>"


def test_further_keys_may_be_dotted(tmp_path: Path) -> None:
    found = values(tmp_path, "secret_keys=db.pin,db.host")
    assert (found["db.pin"], found["db.host"], found["pin"]) == ("<redacted>", "<redacted>", "99")


def test_redaction_can_be_turned_off(tmp_path: Path) -> None:
    found = values(tmp_path, "redaction=off")
    assert (found["api_key"], found["args"]) == ("abcdef123456", '["api_key=abc"]')
    codes = [
        row["code"]
        for row in Catalog(tmp_path / "c.db").query("problems").dicts()
        if row["code"] == "secret-redacted"
    ]
    assert codes == []


def test_the_policy_ends_with_its_ingest(tmp_path: Path) -> None:
    values(tmp_path / "first", "redaction=off")
    assert values(tmp_path / "second")["api_key"] == "<redacted>"


@pytest.mark.parametrize("pair", ["redaction=no", "history=some"])
def test_another_word_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="it takes"):
        Settings.parse([pair])
