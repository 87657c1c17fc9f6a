"""What one checkpoint on disk says, without a catalog: nothing is loaded, nothing is executed."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import SourceError
from catalog.ingest.wholes import whole_at
from catalog.query.rows import Rows
from catalog.sources.checkpoint import reader
from catalog.sources.checkpoint.tensors import bytes_by_dtype, size_of
from catalog.sources.facts import Checkpoint, Item, Problem

if TYPE_CHECKING:
    from catalog.sources.facts import Tensor

_NO_MODEL = "it holds no model of a kind that is known here, and its name tells of none"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One checkpoint as it lies on disk."""

    path: str
    """Absolute, links resolved."""
    size: int
    """Bytes; of a directory the sum over its parts."""
    checkpoint: Checkpoint
    problems: tuple[Problem, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The model's tensors in the order of the file."""
        return self.checkpoint.tensors

    @property
    def verdict(self) -> str | None:
        """A sentence where it is no checkpoint that can be used, None for the others."""
        one = self.checkpoint
        if one.status in ("readable", "recognised"):
            return None
        return f"{self.path} is {one.status}: {one.reason or 'nothing more is known'}."

    def to_dict(self, *, tensors: bool = False) -> dict[str, Any]:
        """Return everything as plain data.

        Args:
            tensors: with a list of all tensors too.
        """
        one = self.checkpoint
        plain = {"path": self.path, "size": self.size, **asdict(one)}
        del plain["tensors"], plain["default_load"]
        load = one.default_load
        plain |= {
            "loads_by_default": load and load.accepted,
            "loads_torch": load and load.torch,
            "loads_reason": load and load.reason,
            "loads_remedy": load and load.remedy,
            "tensor_count": len(one.tensors),
            "tied_count": sum(tensor.shares is not None for tensor in one.tensors),
            "bytes_by_dtype": bytes_by_dtype(one.tensors),
            "problems": [asdict(problem) for problem in self.problems],
        }
        if tensors:
            plain["tensors"] = [
                row | {"shape": list(tensor.shape)}
                for row, tensor in zip(self.tensor_rows().dicts(), one.tensors, strict=True)
            ]
        return plain

    def rows(self) -> Rows:
        """Return what is known as (field, value); a list or mapping gives a row a member."""
        rows: list[tuple[str, Any]] = []
        for name, value in self.to_dict().items():
            if name == "problems":
                rows += [(f"problem.{one.code}", one.message) for one in self.problems]
            elif name == "scores":
                rows += [(f"{one['origin']}:{one['name']}", one["value"]) for one in value]
            elif name == "best_k":
                rows += [("best_k", f"{score!r} {path}") for path, score in value]
            elif isinstance(value, dict):
                rows += [(f"{name}.{key}", member) for key, member in _flat(value)]
            elif isinstance(value, list | tuple):
                rows += [(name, ", ".join(map(str, value)))] if value else []
            elif value is not None:
                rows.append((name, value))
        return Rows(("field", "value"), rows)

    def tensor_rows(self) -> Rows:
        """Return a row a tensor; `shares` names the earlier one that is the same numbers."""
        every = self.checkpoint.tensors
        return Rows(
            ("name", "dtype", "shape", "bytes", "shares"),
            [
                (
                    one.name,
                    one.dtype,
                    str(list(one.shape)),
                    size_of(one),
                    None if one.shares is None else every[one.shares].name,
                )
                for one in every
            ],
        )


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, member in value.items():
        if isinstance(member, dict) and member:
            pairs += _flat(member, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, member if _is_plain(member) else str(member)))
    return pairs


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Read one checkpoint: a file, or a directory that is one.

    Args:
        path: where it lies; links are followed.

    Raises:
        SourceError: nothing is there, or a folder that is no checkpoint itself.
    """
    given = Path(path)
    real = Path(os.path.realpath(given))
    try:
        status = real.stat()
    except OSError as error:
        what = "is a dead link" if given.is_symlink() else "cannot be read"
        gone = isinstance(error, FileNotFoundError) and not given.is_symlink()
        reason = "does not exist" if gone else f"{what} ({error.strerror})"
        raise SourceError(f"{given} {reason}; name a checkpoint on this disk.") from error
    root = Path(real.anchor)
    item = whole_at(root, real)
    if item is None:
        if real.is_dir():
            raise SourceError(
                f"{given} is a folder and no checkpoint itself; name one in it, or read all of "
                f"them with `catalog ingest {given}`."
            )
        place = real.relative_to(root).as_posix()
        item = Item(reader.NAME, place, status.st_size, status.st_mtime_ns, status.st_ino)
    try:
        facts = reader.read(root, item)
    except OSError as error:
        raise SourceError(f"{given} cannot be read: {error.strerror or error}.") from error
    # A reader leaves out the checkpoint where nothing can be read, and says why, and of data whose
    # name tells of no model.
    why = facts.problems[0].message if facts.problems else _NO_MODEL
    checkpoint = facts.checkpoint or Checkpoint("unknown", "foreign", why)
    return Inspection(str(real), item.size, checkpoint, facts.problems)
