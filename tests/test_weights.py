"""Equal weights: what a fingerprint covers, and when there is none."""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    write_torch_legacy,
    write_torch_zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from catalog.sources.facts import Checkpoint

DTENSOR = FakeGlobal("torch.distributed.tensor", "DTensor")


def numbers(*values: float) -> FakeTensor:
    return FakeTensor(shape=(len(values),), data=struct.pack(f"<{len(values)}f", *values))


def read(folder: Path, content: Any, name: str = "a.pt") -> Checkpoint:
    return checkpoint_of(write_torch_zip(folder / name, content, top="archive"))


def array(raw: bytes) -> FakeObject:
    """Return a NumPy array of bytes as pickle writes it."""
    make = FakeGlobal("numpy.core.multiarray", "_reconstruct")
    ndarray, dtype = FakeGlobal("numpy", "ndarray"), FakeGlobal("numpy", "dtype")
    kind = FakeObject(dtype, ("f4", False, True), (3, "<", None, None, None, -1, -1, 0))
    return FakeObject(make, (ndarray, (0,), b"b"), (1, (len(raw) // 4,), kind, False, raw))


def text_array(raw: bytes) -> FakeObject:
    """Return a NumPy array as protocol 2, which is torch's default, writes it: bytes as a text."""
    found = array(raw)
    version, shape, kind, is_fortran, _ = found.state
    encoded = FakeObject(FakeGlobal("_codecs", "encode"), (raw.decode("latin1"), "latin1"))
    return replace(found, state=(version, shape, kind, is_fortran, encoded))


def subclass(inner: FakeTensor, scale: FakeTensor) -> FakeObject:
    rebuild = FakeGlobal("torch._utils", "_rebuild_wrapper_subclass")
    return FakeObject(rebuild, (DTENSOR, (4,)), {"_data": inner, "_scale": scale})


def quantized(inner: FakeTensor, scale: float) -> FakeObject:
    """Return a tensor whose numbers mean something by a scale beside them."""
    make = FakeGlobal("torch._tensor", "_rebuild_from_type_v2")
    plain = FakeGlobal("torch._utils", "_rebuild_parameter")
    quantizer = FakeGlobal("somewhere", "Quantized")
    return FakeObject(make, (plain, quantizer, (inner, False, OrderedDict()), {"scale": scale}))


W = numbers(1, 2, 3, 4)
PAIRS: dict[str, Callable[[float], Any]] = {
    "a subclass": lambda n: {"w": W, "q": subclass(numbers(n), W)},
    "the state of a subclass": lambda n: {"w": W, "q": subclass(W, numbers(n))},
    "the scale of a quantized tensor": lambda n: {"w": quantized(W, n)},
    "a tuple of packed parameters": lambda n: {"w": W, "packed": (numbers(n), None)},
    "an array": lambda n: {"w": W, "running": array(struct.pack("<f", n))},
    "a list of numbers": lambda n: {"w": W, "bias": [n, 0.0]},
    "a second model": lambda n: {"model": {"w": W}, "head": {"w": numbers(n)}},
    "a list of models": lambda n: {"models": [{"w": W}, {"w": numbers(n)}]},
    "averaged weights in a callback": lambda n: lightning_checkpoint(
        state_dict={"w": W}, callbacks={"EMA": {"ema_weights": [numbers(n, n)]}}
    ),
    "weights under a name of training state": lambda n: {
        "model": {"w": W},
        "optimizer": {"w": numbers(n, 1)},
    },
    "an array of text in a scaler": lambda n: {
        "model": {"w": W},
        "scaler": {"mean_": text_array(struct.pack("<4f", n, 1, 1, 1))},
    },
    "an array of text in what is named random": lambda n: {
        "model": {"w": W},
        "random_projection": text_array(struct.pack("<f", n) * 900),
    },
    "an array of text in a listed callback": lambda n: lightning_checkpoint(
        state_dict={"w": W},
        callbacks={"ModelCheckpoint": {"w": text_array(struct.pack("<9f", *[n] * 9))}},
    ),
    "an array of text beside the groups": lambda n: {
        "model": {"w": W},
        "optimizer": {"state": {}, "param_groups": [], "w": text_array(struct.pack("<f", n) * 50)},
    },
    "lists of a scaler that is a normalizer": lambda n: {
        "model": {"w": W},
        "scaler": {"mean": [n, 1.0], "std": [1.0, 1.0]},
    },
    "a list of random numbers": lambda n: {"model": {"w": W}, "random_basis": [n] * 99},
    "a name that holds amp": lambda n: {"model": {"w": W}, "clamp": {"alpha": numbers(n)}},
    "a network that schedules": lambda n: {"model": {"w": W}, "scheduler_net": {"g": numbers(n)}},
    "a very long integer": lambda n: {
        "model": {"w": W},
        "big": FakeObject(FakeGlobal("project", "Big"), (1 << int(n * 40_000),)),
    },
    "weights in a random state": lambda n: {"model": {"w": W}, "rng_state": numbers(n, 1)},
    "master weights beside the groups": lambda n: {
        "model": {"w": W},
        "optimizer": {"state": {}, "param_groups": [], "master_weights": [numbers(n, 1)]},
    },
    "a buffer in a whole module": lambda n: FakeObject(
        FakeGlobal("project", "Net"),
        (),
        {"_parameters": {"w": W}, "_buffers": {}, "_modules": {}, "cache": numbers(n)},
    ),
}


def test_which_of_two_models_a_second_name_means_is_compared(tmp_path: Path) -> None:
    first, second = {"w": numbers(1)}, {"w": numbers(2)}
    found = {
        read(tmp_path, {"model": {"w": W}, "nets": [first, second, best]}).weights_fingerprint
        for best in (first, second)
    }
    assert len(found) == 2


def test_a_fingerprint_does_not_depend_on_what_was_read_before(tmp_path: Path) -> None:
    first, second = {"w": numbers(1)}, {"w": numbers(2)}
    found = set()
    for number in range(40):
        read(tmp_path, {"state_dict": {f"v{number}": W}}, "other.pt")
        models = {f"x{number % 2}": first, "y": second, "best": first}
        found.add((number % 2, read(tmp_path, models).weights_fingerprint))
    assert len(found) == 2


def test_the_states_of_a_gradient_scaler_and_of_generators_are_no_weights(tmp_path: Path) -> None:
    def state(n: int) -> dict[str, Any]:
        return {
            "model": {"w": W},
            "scaler": {"scale": 2.0**n, "growth_factor": 2.0, "_growth_tracker": n},
            "scheduler": {"last_epoch": n, "best": numbers(n)},
            "random_rng_state": (3, tuple(range(n, 625)), None),
            "rng_states": {"numpy": ("MT19937", text_array(bytes([n]) * 2496), n, 0, 0.5)},
        }

    assert (
        read(tmp_path, state(1)).weights_fingerprint
        == read(tmp_path, state(2)).weights_fingerprint
        is not None
    )


@pytest.mark.parametrize("kind", PAIRS)
def test_what_differs_outside_training_state_makes_other_weights(tmp_path: Path, kind: str) -> None:
    first, again, other = (
        read(tmp_path, PAIRS[kind](n)).weights_fingerprint for n in (0.5, 0.5, 0.75)
    )
    assert first == again
    assert first is None or first != other


@pytest.mark.parametrize(
    "kind",
    ["a subclass", "a tuple of packed parameters", "a second model", "an array",
     "averaged weights in a callback"],
)  # fmt: skip
def test_parameters_are_not_counted_where_weights_are_not_understood(
    tmp_path: Path, kind: str
) -> None:
    found = read(tmp_path, PAIRS[kind](0.5))
    assert found.parameter_count is None
    assert found.weights_doubt


def test_best_and_last_of_equal_weights_are_equal(tmp_path: Path) -> None:
    """They differ in the scores of listed callbacks, in counters, and in the optimizer."""
    state = {0: {"exp_avg": numbers(7, 8, 9, 9), "step": numbers(3)}}
    groups = [{"lr": 0.5, "params": [0]}]
    best = lightning_checkpoint(state_dict={"w": W}, epoch=3, best_k={"best.ckpt": 0.5})
    last = lightning_checkpoint(
        state_dict={"w": W},
        epoch=4,
        best_k={"best.ckpt": 0.25},
        optimizer_states=[{"state": state, "param_groups": groups}],
        lr_schedulers=[{"last_epoch": 4, "_last_lr": [0.5], "base_lrs": [0.1, 0.2]}],
        loops={"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
    )
    last["callbacks"]["EarlyStopping{'monitor': 'val/hmean'}"] = {"best_score": numbers(0.75)}
    rng = FakeTensor("uint8", (16,), bytes(range(16)))
    last["rng_state"] = rng
    prints = [read(tmp_path, content).weights_fingerprint for content in (best, last)]
    assert prints[0] is not None
    assert prints[0] == prints[1]


def test_a_file_without_stated_sums_has_no_fingerprint_and_says_so(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.pt", {"state_dict": {"w": W}}, crcs=False)
    found = checkpoint_of(path)
    assert (found.status, found.weights_fingerprint) == ("readable", None)
    assert found.weights_doubt is not None
    assert "--hash" in found.weights_doubt
    legacy = checkpoint_of(write_torch_legacy(tmp_path / "b.pt", {"state_dict": {"w": W}}))
    assert (legacy.parameter_count, legacy.weights_fingerprint) == (4, None)
    assert legacy.weights_doubt


def test_placeholders_are_no_weights(tmp_path: Path) -> None:
    found = read(tmp_path, {"module": {"a.weight": FakeTensor(shape=(0,)), "b.buffer": W}})
    assert (found.weights_fingerprint, found.parameter_count) == (None, None)
    assert found.weights_doubt is not None
    assert "1 of its 2 tensors are empty" in found.weights_doubt


def test_averaged_weights_are_listed_beside_the_model(tmp_path: Path) -> None:
    found = read(tmp_path, PAIRS["a second model"](0.5))
    assert [tensor.name for tensor in found.tensors] == ["w", "head.w"]


def test_scores_in_tensors_do_not_hide_how_many_parameters_there_are(tmp_path: Path) -> None:
    content = lightning_checkpoint(state_dict={"w": W}, cleval_metrics={"hmean": numbers(0.5)})
    assert read(tmp_path, content).parameter_count == 4


NAMES = st.sampled_from(
    (
        "state_dict", "model", "ema", "head", "optimizer", "optimizer_states", "callbacks",
        "rng_state", "scaler", "loops", "extra", "hyper_parameters", "config", "state",
        "param_groups", "params", "0", "weight", "bias", "loss",
    )
)  # fmt: skip


class Slot:
    """Where the numbers of one storage are put."""

    def __init__(self, place: int) -> None:
        self.place = place


def structures() -> st.SearchStrategy[Any]:
    leaf = st.one_of(
        st.integers(0, 3).map(Slot),
        st.none(),
        st.booleans(),
        st.integers(0, 9),
        st.floats(0, 1),
        st.text("ab", max_size=3),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(NAMES, inner, max_size=4),
            st.dictionaries(NAMES, inner, max_size=3).map(lambda state: ("object", state)),
        ),
        max_leaves=14,
    )


def filled(value: Any, tensors: list[FakeTensor], used: set[int]) -> Any:
    if isinstance(value, Slot):
        used.add(value.place)
        return tensors[value.place]
    if isinstance(value, dict):
        return {key: filled(part, tensors, used) for key, part in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "object":
        return FakeObject(DTENSOR, (), filled(value[1], tensors, used))
    if isinstance(value, (list, tuple)):
        return type(value)(filled(part, tensors, used) for part in value)
    return value


@given(
    st.dictionaries(NAMES, structures(), min_size=1, max_size=4),
    st.lists(st.binary(min_size=8, max_size=8), min_size=5, max_size=5, unique=True),
    st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_archives_that_differ_in_any_storage_share_no_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, root: Any, raw: list[bytes], changed: int
) -> None:
    """Whatever refers to it: training state is only what has the form of training state."""
    used: set[int] = set()
    tensors = [FakeTensor(shape=(2,), data=data) for data in raw[:4]]
    first = filled(root, tensors, used)
    assume(changed in used)
    tensors[changed] = FakeTensor(shape=(2,), data=raw[4])
    second = filled(root, tensors, used)
    folder = tmp_path_factory.mktemp("pair")
    prints = [read(folder, content).weights_fingerprint for content in (first, second)]
    assert prints[0] is None or prints[0] != prints[1] or only_training_state(root, changed)


def only_training_state(root: dict[str, Any], place: int) -> bool:
    """Say whether a storage is held by what has the form of training state alone."""
    from catalog.sources.checkpoint.training_state import is_optimizer

    def holds(value: Any) -> bool:
        if isinstance(value, Slot):
            return value.place == place
        if isinstance(value, dict):
            return any(map(holds, value.values()))
        return isinstance(value, (list, tuple)) and any(map(holds, value))

    return all(
        not holds(value) or is_optimizer(value, is_named="optim" in key)
        for key, value in root.items()
    )
