"""Pickles that differ from earlier ones in a few values are what the opcodes make of them."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.checkpoint import skeleton, templates
from catalog.sources.checkpoint.inert import Found
from catalog.sources.checkpoint.skeleton import SkeletonError, load
from catalog.sources.checkpoint.templates import Templates
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    pickled,
)
from tests.test_checkpoint_records import assert_met_alike, by_rows, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = {f"layer.{n}.weight": FakeTensor(shape=(n + 1, 3)) for n in range(45)}
PADDING = b"X" + struct.pack("<I", templates.LEAST) + b" " * templates.LEAST

TEXTS = st.text("aé/_.\0'{$", max_size=300) | st.sampled_from(["storage", "__class__", "monitor"])
INTEGERS = st.sampled_from([-1, 0, 255, 256, 65_535, 65_536, -(1 << 31), (1 << 31) - 1, 1 << 40])
VALUES = TEXTS | INTEGERS | st.floats() | st.none() | st.booleans()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no pickle have been met before."""
    monkeypatch.setattr(skeleton, "_TEMPLATES", Templates())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Count the pickles whose opcodes are run."""
    seen: list[bytes] = []
    run = skeleton._run

    def counted(data: bytes, *args: Any, **kwargs: Any) -> tuple[Any, int]:
        seen.append(data)
        return run(data, *args, **kwargs)

    monkeypatch.setattr(skeleton, "_run", counted)
    return seen


def training(epoch: int, **others: Any) -> bytes:
    """Return the pickle of one checkpoint of a training."""
    rate = 0.1 / (epoch + 1)
    return pickled(
        lightning_checkpoint(
            state_dict=STATE,
            epoch=epoch,
            global_step=100 * epoch,
            directory=f"/home/somebody/outputs/{epoch % 3}",
            best_k={f"epoch={epoch}.ckpt": 0.5},
            optimizer_states=[{"state": {}, "param_groups": [{"lr": rate, "params": [0, 1]}]}],
            **others,
        )
    )[0]


def test_a_later_checkpoint_of_a_training_is_read_without_its_opcodes(runs: list[bytes]) -> None:
    for epoch in range(5):
        load(training(epoch))
    runs.clear()
    later = [training(epoch) for epoch in range(5, 300)]
    roots = [load(data).root for data in later]
    assert not runs
    assert [root["epoch"] for root in roots] == [*range(5, 300)]
    assert all(root["state_dict"] is roots[0]["state_dict"] for root in roots)
    for data in later[::50]:
        assert by_rows(data) == one_by_one(data)


def test_checkpoints_of_trainings_in_turn_are_all_read_so(runs: list[bytes]) -> None:
    kinds = [{"hyper_parameters": {f"key{n}": "x" * n}} for n in range(8)]
    for epoch in range(5):
        for kind in kinds:
            load(training(epoch, **kind))
    runs.clear()
    for epoch in range(5, 9):
        for kind in kinds:
            assert (
                load(training(epoch, **kind)).root["hyper_parameters"] == kind["hyper_parameters"]
            )
    assert not runs


@given(st.lists(st.lists(VALUES, min_size=6, max_size=6), min_size=3, max_size=7))
@settings(max_examples=60, deadline=None)
def test_whatever_the_values_are_they_come_out(rows: list[list[Any]]) -> None:
    skeleton._TEMPLATES._samples.clear()
    skeleton._TEMPLATES._recent.clear()
    for a, b, c, d, e, f in rows:
        path = FakeObject(FakeGlobal("pathlib", "PosixPath"), ("/", "home", a))
        node = FakeObject(
            FakeGlobal("omegaconf.nodes", "AnyNode"), (), {"_val": b, "_more": (c, a)}
        )
        data, _ = pickled(
            {
                "epoch": a, "state_dict": OrderedDict(STATE), "path": path, "nodes": [node, node],
                "optimizer": {"state": {0: {"step": b}}, "param_groups": [{"lr": c, "b": (d, e)}]},
                "by_value": {str(a): 1, str(b): 2, "epoch": 3}, "again": [a, a, b], "set": {0, 1},
                "default": FakeObject(FakeGlobal("collections", "OrderedDict"), (), None, {"f": f}),
                "more": FakeObject(FakeGlobal("a", "B"), (e,), f, {"k": d}),
            }
        )  # fmt: skip
        assert by_rows(data) == one_by_one(data)


def pushed(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


ENUM = b"cbuiltins\ngetattr\n(ca\nB\n%bt"
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n"
    b"((%bctorch\nFloatStorage\n%bX\x03\0\0\0cpuK\x01tQK\0))\x89Nt"
)
LOOKED_INTO: dict[str, Callable[[str], bytes]] = {
    "the name of an attribute": lambda text: ENUM % pushed(text) + b"R",
    "an attribute whose value is dropped": lambda text: b"}" + ENUM % pushed(text) + b"Rb",
    "an attribute by way of the memo": lambda text: (
        b"](" + pushed(text) + b"q\x00" + ENUM % b"h\x00" + b"Re"
    ),
    "the name of a class": lambda text: pushed("os") + pushed(text) + b"\x93",
    "the name of a module": lambda text: pushed(text) + pushed("system") + b"\x93)R",
    "the key of a storage": lambda text: TENSOR % (pushed("storage"), pushed(text)) + b"R",
    "the word before a storage": lambda text: TENSOR % (pushed(text), pushed("0")) + b"R",
    "a storage that is dropped": lambda text: b"}" + TENSOR % (pushed(text), pushed("0")) + b"Rb",
}


@pytest.mark.parametrize("kind", LOOKED_INTO)
@pytest.mark.parametrize("last", ["__class__", "storage", "system"])
def test_what_the_machine_looks_into_is_looked_into_each_time(kind: str, last: str) -> None:
    for text in ("one", "two", "three", "four", last, "five", last):
        data = b"\x80\x02](" + PADDING + LOOKED_INTO[kind](text) + b"e."
        assert by_rows(data) == one_by_one(data)


def test_an_attack_is_found_where_harmless_pickles_of_the_same_form_came_before() -> None:
    def pickle_of(name: str) -> bytes:
        return b"\x80\x02](" + PADDING + ENUM % pushed(name) + b"Re."

    for name in ("one", "two", "three"):
        assert not load(pickle_of(name)).found.attacks
    assert load(pickle_of("__globals__")).found.attacks == {"builtins.getattr"}


SHAPES: dict[str, Callable[[int], bytes]] = {
    "a size of a tensor": lambda n: (
        TENSOR.replace(b"K\0))", b"K\0K%b\x85)") % (pushed("storage"), pushed("0"), bytes([n]))
        + b"R"
    ),
    "a size that is added later": lambda n: (
        b"](]q\x00"
        + TENSOR.replace(b"K\0))", b"K\0h\x00)") % (pushed("storage"), pushed("0"))
        + b"R"
        b"h\x00K%ba" % bytes([n]) + b"e"
    ),
    "a list that holds itself": lambda n: b"]q\x00(h\x00K%be" % bytes([n]),
    "a key that is a tuple": lambda n: b"}K%b\x85K\0s" % bytes([n]),
    "the function of a call": lambda n: b"K%b)R" % bytes([n]),
    "the function of a call in a list": lambda n: b"](K%be)R" % bytes([n]),
    "what is dropped": lambda n: b"}K%bb" % bytes([n]),
    "what is dropped at once": lambda n: b"}K%b0" % bytes([n]),
    "what is taken twice": lambda n: b"](K%b2e" % bytes([n]),
    "a memo entry": lambda n: b"](K%bq\x00h\x00h\x00e" % bytes([n]),
    "keys that collide": lambda n: b"}(K%bK\x01K\x05K\x02K\x06K\x03u" % bytes([n]),
    "a key that is set again": lambda n: b"}(K\x05K\x01K%bK\x02K\x05K\x03u" % bytes([n]),
    "the width of a number": lambda n: b"J" + struct.pack("<i", -n) if n % 2 else b"K" + bytes([n]),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_values_in_odd_places_come_out_as_by_opcodes(kind: str) -> None:
    for number in (1, 2, 3, 4, 5, 6, 5, 200):
        data = b"\x80\x02](" + PADDING + SHAPES[kind](number) + b"e."
        assert by_rows(data) == one_by_one(data)


TRAINED = [training(epoch, hyper_parameters={"a": [epoch, "b" * epoch]}) for epoch in range(4)]


@given(st.integers(0, len(TRAINED[3]) - 1), st.integers(0, 255), st.sampled_from([0, 1]))
@settings(max_examples=200, deadline=None)
def test_damage_in_a_pickle_of_known_form_is_met_as_by_opcodes(
    place: int, byte: int, cut: int
) -> None:
    for data in TRAINED:
        load(data)
    assert_met_alike(TRAINED[3][:place] + bytes([byte]) + TRAINED[3][place + cut :])


@pytest.mark.parametrize("length", range(1, 90, 7))
def test_a_pickle_of_known_form_that_is_cut_is_cut(length: int) -> None:
    for data in TRAINED:
        load(data)
    with pytest.raises(SkeletonError, match="no end mark"):
        load(TRAINED[3][:-length])


def test_what_follows_a_pickle_is_left_alone() -> None:
    for data in TRAINED:
        load(data)
    assert load(TRAINED[3] + b"more").end == len(TRAINED[3])


@pytest.mark.parametrize("many", [0, 5_000, 70_000])
def test_what_is_kept_of_pickles_is_bounded(many: int) -> None:
    known = skeleton._TEMPLATES
    for number in range({0: 2_500, 5_000: 20, 70_000: 3}[many]):
        content = {
            f"{number}": "x" * 4_000,
            "list": [0] * number,
            "lists": [[] for _ in range(many)],
        }
        for value in (1, 2):
            load(pickle.dumps({**content, "value": value}, protocol=2))
        kept = [sample for alike in known._samples.values() for sample in alike]
        assert sum(len(sample._data) for sample in kept) <= templates.MOST_KEPT
        made = [sample.template for sample in kept if sample.template]
        assert sum(template.blueprint.size for template in made) <= templates.MOST_HELD
        assert len(made) == len(known._recent) <= 64
        assert bool(made) is (many < templates.MOST_HELD)


def test_templates_of_a_form_are_not_made_for_ever(runs: list[bytes]) -> None:
    """Pickles of which each differs in a further place would cost more than they save."""
    for number in range(60):
        values = [0] * 60
        values[number] = 1
        load(pickle.dumps({"padding": "x" * 2_000, "values": values}, protocol=2))
    assert len(runs) <= 60 + templates.MOST_MADE


def test_a_found_that_is_shared_is_that_of_each() -> None:
    for data in TRAINED:
        read = load(data)
        found = Found()
        skeleton._run(data, 0, skeleton.MAX_OPCODES, found, by_records=False)
        assert [*read.found.globals] == [*found.globals]
        assert [*read.found.storages] == [*found.storages]
