"""What a scan lists, what it leaves out, and how little it asks of the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.errors import UsageError
from catalog.ingest.ignore import Ignored
from catalog.ingest.scan import UNREAD, Scan
from catalog.settings import Settings
from catalog.sources import registry
from catalog.sources.facts import Entry, Listing


def found(root: Path, **options: object) -> set[str]:
    """The paths of all files that a scan lists."""
    scan = Scan(root, **options)  # type: ignore[arg-type]
    return {
        entry.name if listing.path == "." else f"{listing.path}/{entry.name}"
        for listing in scan.listings()
        for entry in listing.entries
        if entry.kind == "file" and not entry.name.startswith(".")
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.ckpt", "keep/b.ckpt", "tmp/c.ckpt", "x/tmp/d.ckpt", "x/e.pt", "x/y/f.ckpt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    return root


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ({".": "*.ckpt"}, {"x/e.pt"}),
        ({".": "*.ckpt\n!keep/*.ckpt"}, {"keep/b.ckpt", "x/e.pt"}),
        ({".": "tmp/"}, {"a.ckpt", "keep/b.ckpt", "x/e.pt", "x/y/f.ckpt"}),
        ({".": "/tmp/"}, {"a.ckpt", "keep/b.ckpt", "x/tmp/d.ckpt", "x/e.pt", "x/y/f.ckpt"}),
        ({".": "# none\n\n**/y/*\n"}, {"a.ckpt", "keep/b.ckpt", "tmp/c.ckpt", "x/tmp/d.ckpt",
                                       "x/e.pt"}),
        # A folder's own file speaks for what is below it, and comes before those above.
        ({"x": "*.ckpt"}, {"a.ckpt", "keep/b.ckpt", "tmp/c.ckpt", "x/e.pt"}),
        ({".": "*.ckpt", "x": "!f.ckpt"}, {"x/e.pt", "x/y/f.ckpt"}),
        # What lies in a folder that is left out cannot be brought back.
        ({".": "x/\n!x/y/f.ckpt"}, {"a.ckpt", "keep/b.ckpt", "tmp/c.ckpt"}),
    ],
)  # fmt: skip
def test_catalogignore_is_gitignore(tree: Path, patterns: dict[str, str], left: set[str]) -> None:
    for folder, text in patterns.items():
        (tree / folder / ".catalogignore").write_text(text)
    assert found(tree) == left


def test_git_agrees(tree: Path) -> None:
    """The same patterns in .gitignore, asked of git itself."""
    import shutil
    import subprocess

    if shutil.which("git") is None:
        pytest.skip("no git here")
    for name, text in ((".", "*.ckpt\n!keep/\n!keep/b.*\n/x/y\n"), ("x", "*.pt\n!tmp/*.ckpt")):
        (tree / name / ".catalogignore").write_text(text)
        (tree / name / ".gitignore").write_text(text)
    subprocess.run(["git", "init", "-q", tree], check=True)
    listed = subprocess.run(
        ["git", "-C", tree, "ls-files", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found(tree) == {
        name for name in listed.stdout.splitlines() if not Path(name).name.startswith(".")
    }


def test_a_scan_of_a_part_heeds_the_files_above_it(tree: Path) -> None:
    (tree / ".catalogignore").write_text("f.ckpt\n/tmp\n")
    (tree / "x" / ".catalogignore").write_text("*.pt")
    assert found(tree, below="x") == {"x/tmp/d.ckpt"}


def test_the_setting_comes_before_the_files(tree: Path, empty_db: Path) -> None:
    (tree / ".catalogignore").write_text("!a.ckpt")
    settings = Settings.parse(["ignore=*.ckpt, x/"])
    Catalog(empty_db, settings).ingest([tree])
    assert Catalog(empty_db).sql("SELECT path FROM file").rows == [("a.ckpt",)]


@pytest.mark.parametrize("pattern", ["[", "a/[b", "!", "x\\", "[z-a]"])
def test_a_setting_that_is_no_pattern_is_refused(tree: Path, empty_db: Path, pattern: str) -> None:
    catalog = Catalog(empty_db, Settings(ignore=("x/", pattern)))
    with pytest.raises(UsageError, match="is no pattern"):
        catalog.ingest([tree])
    assert Catalog(empty_db).sql("SELECT COUNT(*) FROM ingest").rows == [(0,)]


def test_lines_that_are_no_patterns_are_passed_over() -> None:
    ignored = Ignored().within(".", ["!", "a[", "///", "b"])
    assert ignored.matches("b")
    assert not ignored.matches("c")


def test_only_what_a_reader_wants_is_asked_for_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ckpt", "b.txt", "c.png", "d.bin.tmp"):
        (tmp_path / name).write_bytes(b"12")
    asked: list[str] = []
    real = os.scandir

    class Found:
        """A directory entry that counts the looks at its state."""

        def __init__(self, entry: os.DirEntry[str]) -> None:
            self._entry = entry

        def __getattr__(self, name: str) -> object:
            return getattr(self._entry, name)

        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            asked.append(self._entry.name)
            return self._entry.stat(follow_symlinks=follow_symlinks)

    class Names:
        def __init__(self, path: str) -> None:
            self._names = real(path)

        def __enter__(self) -> list[Found]:
            return [Found(entry) for entry in self._names]

        def __exit__(self, *_: object) -> None:
            self._names.close()

    monkeypatch.setattr("catalog.ingest.scan.os.scandir", Names)
    (listing,) = Scan(tmp_path).listings()
    (item,) = registry.recognise(listing)
    assert (item.path, item.size) == ("a.ckpt", 2)
    assert asked == ["a.ckpt"]


def test_no_reader_wants_what_is_never_listed() -> None:
    for ending in UNREAD:
        for stem in ("best", "epoch=1-step=2", "wandb-summary", "config", "events.out.tfevents.1"):
            listing = Listing("x", (Entry(f"{stem}{ending}", "file", 10),))
            assert registry.recognise(listing) == []


def test_a_file_that_vanishes_while_scanning_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"12")
    (listing,) = Scan(tmp_path).listings()
    (tmp_path / "a.ckpt").unlink()
    (entry,) = listing.entries
    # A directory entry that was never asked may know no more.
    assert (entry.size, entry.mtime_ns, entry.target) == (0, 0, None)
