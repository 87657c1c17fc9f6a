"""What picklescan calls dangerous never runs, and is never shown as clean."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import pytest

from catalog.sources.checkpoint.safety import judge
from catalog.sources.checkpoint.skeleton import load
from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import FakeTensor, lightning_checkpoint, pickled, write_zip
from tests.test_checkpoint_hostile import CALLS

if TYPE_CHECKING:
    from pathlib import Path

scanner: Any = pytest.importorskip("picklescan.scanner", reason="picklescan is not installed")

EXAMPLES = {"test": "support.script_helper.assert_python_ok", "uuid": "_get_command_stdout"}
"""Of modules that picklescan refuses whole, and this catalog in part."""
UNKNOWN = {"functools.partial"}
"""Met in real checkpoints (as configs); it can only harm through a second name, which is judged."""


def _names() -> list[str]:
    names = []
    for module, listed in scanner._unsafe_globals.items():
        each = [listed] if isinstance(listed, str) else sorted(listed)
        names += [f"{module}.{EXAMPLES.get(module, 'x') if one == '*' else one}" for one in each]
    return names


def _dangerous(data: bytes) -> bool:
    found = scanner.scan_pickle_bytes(io.BytesIO(data), "data.pkl")
    return any(one.safety.value == "dangerous" for one in found.globals)


def _named(name: str, arguments: bytes) -> bytes:
    """Return a pickle that calls a global by its full name."""
    module, _, inner = name.rpartition(".")
    while module not in scanner._unsafe_globals:
        module, _, rest = module.rpartition(".")
        inner = f"{rest}.{inner}"
    texts = [b"X" + struct.pack("<I", len(one)) + one.encode() for one in (module, inner)]
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + arguments + b"R."


def test_there_is_something_to_compare() -> None:
    assert len(_names()) > 50


@pytest.mark.parametrize("name", _names())
def test_every_name_that_picklescan_refuses_is_refused(name: str, tmp_path: Path) -> None:
    data = _named(name, b"X\x02\0\0\0id\x85")
    assert _dangerous(data)
    found = checkpoint_of(write_zip(tmp_path / "x.ckpt", [("archive/data.pkl", data)]))
    assert found.safety == ("unknown" if name in UNKNOWN else "dangerous")
    assert found.globals


@pytest.mark.parametrize("code", CALLS.values(), ids=CALLS)
def test_whatever_picklescan_finds_in_a_file_is_found(code: bytes) -> None:
    data = code % b"X\x02\0\0\0id"
    found = load(data).found
    assert judge(found.globals, found.attacks)[0] == "dangerous"
    assert _dangerous(data) or b"torch.serialization\nos" in data


def test_both_call_an_ordinary_checkpoint_clean() -> None:
    data, _ = pickled(lightning_checkpoint(state_dict={"w": FakeTensor(shape=(2, 2))}))
    found = load(data).found
    assert judge(found.globals, found.attacks)[0] == "plain"
    assert not _dangerous(data)
