"""What happens to files: cut, a bit flipped, a part lost, other content under the name."""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import yaml

from tests.oracle.specimen import EmptyCell, Specimen, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10\x08\x02" + bytes(
    300
)
TEXT: Final = b'{"not": "a checkpoint", "labels": ["cat", "dog"]}\n' * 8
POINTER: Final = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345678\n"
)
OTHERS: Final = (
    ("a picture", PNG),
    ("a text", TEXT),
    ("no bytes", b""),
    ("a Git LFS pointer", POINTER),
)
"""Content of no model at all, by what it is."""


class Zoo:
    """Makes the folders of specimens and keeps the list."""

    def __init__(self, folder: Path, flips: int) -> None:
        self.folder = folder
        self.flips = flips
        self.specimens: list[Specimen] = []
        self._empty: list[EmptyCell] = []

    def place(
        self, kind: str, damage: str, name: str, judge: str, note: str = "", **flags: bool
    ) -> Path:
        """Return where to write a specimen; a config is beside it, so that it can be usable."""
        folder = self.folder / kind / f"{len(self.specimens):03}"
        (folder / name).parent.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"name": "tiny"}, "seed": 1}))
        path = folder / name
        relative = path.relative_to(self.folder).as_posix()
        self.specimens.append(Specimen(relative, kind, damage, judge, note, **flags))
        return path

    def write(self, content: bytes, *cell: str, note: str = "", **flags: bool) -> None:
        """Write a specimen of one file: `cell` is kind, damage, name, judge."""
        kind, damage, name, judge = cell
        self.place(kind, damage, name, judge, note, **flags).write_bytes(content)

    def empty(self, kind: str, damage: str, reason: str) -> None:
        """Say why there is no specimen of a format with a damage."""
        self._empty.append(EmptyCell(kind, damage, reason))

    def all_data(self, first: int) -> None:
        """Say of all specimens from a place of the list on that they are no models."""
        self.specimens[first:] = [replace(one, is_model=False) for one in self.specimens[first:]]

    def finish(self) -> None:
        """Write the manifest."""
        write_manifest(self.folder, self.specimens, self._empty)

    def damage_file(self, kind: str, name: str, judge: str, content: bytes, data: bytes) -> None:
        """Write a file whole, cut at three places, with bits flipped, and with other content.

        Args:
            kind: row of the table.
            name: of the file.
            judge: whose verdict counts.
            content: of the file.
            data: numbers of one tensor as the file holds them: what is outside is structure.
        """
        self.write(content, kind, "whole", name, judge)
        for damage, changed, note in damages(content, data, self.flips):
            self.write(changed, kind, damage, name, judge, note=note)
        for note, other in OTHERS:
            self.write(other, kind, "wrong type", name, judge, note=note, is_model=False)

    def damage_folder(
        self,
        kind: str,
        name: str,
        judge: str,
        source: Path,
        weights: str,
        missing: Iterable[str],
        data: bytes | None = None,
    ) -> None:
        """Write a folder whole, and with its weights file damaged or parts missing.

        Args:
            kind: row of the table.
            name: of the folder.
            judge: whose verdict counts.
            source: the whole folder, to copy.
            weights: path in it of the file to damage.
            missing: paths in it, each of which is left out of one specimen.
            data: numbers of one tensor as that file holds them.
        """
        shutil.copytree(source, self.place(kind, "whole", name, judge))
        content = (source / weights).read_bytes()
        for damage, changed, note in damages(content, data or content[-64:], self.flips // 2):
            self.change_folder(kind, damage, name, judge, source, {weights: changed}, note)
        for note, other in OTHERS:
            told = f"{weights} is {note}"
            self.change_folder(kind, "wrong type", name, judge, source, {weights: other}, told)
        for part in missing:
            self.change_folder(
                kind, "part missing", name, judge, source, {part: None}, f"without {part}"
            )

    def change_folder(
        self,
        kind: str,
        damage: str,
        name: str,
        judge: str,
        source: Path,
        parts: Mapping[str, bytes | None],
        note: str,
        **flags: bool,
    ) -> None:
        """Write a copy of a folder with some parts replaced, or left out where they are None."""
        path = self.place(kind, damage, name, judge, note, **flags)
        shutil.copytree(source, path)
        for part, content in parts.items():
            target = path / part
            if content is None and target.is_dir():
                shutil.rmtree(target)
            elif content is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def damages(content: bytes, data: bytes, flips: int) -> list[tuple[str, bytes, str]]:
    """Return (damage, content, note) of a file cut at three places and with bits flipped."""
    start = content.index(data)
    size = len(content)
    middle = start + len(data) // 2
    found = [
        ("cut near the start", content[: max(size // 20, 12)], ""),
        ("cut in the middle", content[: size // 2], ""),
        ("cut by a byte", content[:-1], ""),
        ("bit flipped in data", flipped(content, middle), f"byte {middle}"),
    ]
    chance = random.Random(size)
    outside = [place for place in range(size) if not start <= place < start + len(data)]
    # Bytes that are zero are often padding, where a change means nothing.
    telling = [place for place in outside if content[place]] or outside
    for _ in range(flips):
        place = chance.choice(telling)
        changed = flipped(content, place, chance.randrange(8))
        found.append(("bit flipped in structure", changed, f"byte {place}"))
    return found


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    """Return bytes of which one bit is flipped."""
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def zipped(
    source: bytes,
    changes: Mapping[str, bytes | None] | None = None,
    *,
    method: int = zipfile.ZIP_STORED,
    rename: Callable[[str], str] = str,
    is_stream: bool = False,
    zip64: bool = False,
) -> bytes:
    """Return a zip archive written again by Python.

    Args:
        source: the archive.
        changes: content of records by the end of their names, None where one is left out.
        method: of compression.
        rename: returns the new name of a record.
        is_stream: write it as to a pipe, with sizes behind the data.
        zip64: give each record the fields of large files.
    """
    target = _Pipe() if is_stream else io.BytesIO()
    changes = dict(changes or {})
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(target, "w", method) as new:
        for info in old.infolist():
            content: bytes | None = old.read(info)
            for end, changed in changes.items():
                content = changed if info.filename.endswith(end) else content
            if content is None:
                continue
            entry = zipfile.ZipInfo(rename(info.filename), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            with new.open(entry, "w", force_zip64=zip64) as record:
                record.write(content)
    return target.getvalue()


class _Pipe(io.BytesIO):
    """Memory that cannot be gone back in."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation
