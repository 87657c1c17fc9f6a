"""TensorBoard event files: scalars and hyper-parameters, and what is wrong with a file."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources import tensorboard
from catalog.sources.crc32c import crc32c_of_each
from tests.support.event_files import (
    crc32c,
    event,
    hparams,
    record,
    scalar,
    tensor_scalar,
    write_events,
    write_scalars,
)
from tests.support.reading import codes, fields, read_tree
from tests.support.wandb_files import field, write_hydra_directory, write_run_directory

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts


def only(root: Path) -> Facts:
    (facts,) = (one for path, one in read_tree(root).items() if "tfevents" in path)
    return facts


def points(facts: Facts) -> dict[str, list[tuple[int | None, float]]]:
    return {one.name: list(zip(one.steps, one.values, strict=True)) for one in facts.series}


def test_the_checksum_of_the_tests_is_the_standard_s() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_scalars_have_step_value_and_time(tmp_path: Path) -> None:
    write_scalars(tmp_path / "logs", {"val/loss": [2.0, 0.5], "lr": [0.25]})
    facts = only(tmp_path)
    assert points(facts) == {"val/loss": [(0, 2.0), (1, 0.5)], "lr": [(0, 0.25)]}
    assert facts.series[0].times == (1_760_722_339.0, 1_760_722_340.0)
    assert facts.run_directory is not None
    assert (facts.run_directory.tracker, facts.run_directory.path) == ("tensorboard", "logs")


def test_the_file_name_tells_start_and_host_even_with_dots(tmp_path: Path) -> None:
    write_events(tmp_path, [], host="node-3.cluster.example.org")
    said = fields(only(tmp_path))
    assert said["host"] == "node-3.cluster.example.org"
    assert said["started_at"] == "2025-10-17T17:32:19.000000Z"


def test_scalars_of_tensorflow_2_are_tensors_told_by_their_first_event(tmp_path: Path) -> None:
    write_events(
        tmp_path,
        [
            event(10.0, 1, tensor_scalar("loss", 1.5, first=True)),
            event(11.0, 2, tensor_scalar("loss", 0.75, first=False)),
            event(12.0, 2, tensor_scalar("weights", 9.0, first=False)),
        ],
    )
    assert points(only(tmp_path)) == {"loss": [(1, 1.5), (2, 0.75)]}


def test_hyper_parameters_become_a_config_without_secrets(tmp_path: Path) -> None:
    values: dict[str, float | str | bool] = {
        "lr": 0.1,
        "layers": 3.0,
        "name": "a",
        "amp": True,
        "api_key": "abc123def",
    }
    write_events(tmp_path, [event(1.0, 0, hparams(values))])
    facts = only(tmp_path)
    (config,) = facts.configs
    assert config.document == {
        "lr": 0.1, "layers": 3, "name": "a", "amp": True, "api_key": "<redacted>",
    }  # fmt: skip
    assert codes(facts) == ["secret-redacted"]


def test_the_session_folder_of_torch_belongs_to_the_run_above(tmp_path: Path) -> None:
    write_events(tmp_path / "runs" / "a" / "1760722400.1234", [event(1.0, 0, scalar("hp", 1.0))])
    place = only(tmp_path).run_directory
    assert place is not None
    assert place.path == "runs/a"


def test_a_copy_in_a_wandb_run_belongs_to_that_run(tmp_path: Path) -> None:
    folder = write_run_directory(tmp_path / "wandb", "a1b2c3d4")
    write_scalars(folder / "files" / "train", {"loss": [1.0]})
    place = only(tmp_path).run_directory
    assert place is not None
    assert (place.tracker, place.tracker_run_id) == ("wandb", "a1b2c3d4")


def test_files_in_a_job_s_own_folder_belong_to_the_job(tmp_path: Path) -> None:
    folder = write_hydra_directory(tmp_path / "outputs" / "2025-10-18" / "02-32-17", {"lr": 1})
    write_scalars(folder, {"loss": [1.0]})
    place = only(tmp_path).run_directory
    assert place is not None
    assert place.tracker == "hydra"


@pytest.mark.parametrize("cut", [1, 4, 13, 40])
def test_a_cut_end_keeps_what_stands_before(tmp_path: Path, cut: int) -> None:
    path = write_scalars(tmp_path, {"loss": [1.0, 0.5, 0.25, 0.125]})
    path.write_bytes(path.read_bytes()[:-cut])
    facts = only(tmp_path)
    assert codes(facts) == ["truncated-stream"]
    kept = points(facts)["loss"]
    assert kept == [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.125)][: len(kept)]
    assert len(kept) >= 2


def test_a_wrong_length_checksum_ends_the_reading(tmp_path: Path) -> None:
    path = write_scalars(tmp_path, {"loss": [1.0]})
    frame = bytearray(record(event(5.0, 5, scalar("loss", 3.0))))
    frame[8] ^= 1
    path.write_bytes(path.read_bytes() + frame)
    facts = only(tmp_path)
    assert codes(facts) == ["damaged-stream"]
    assert points(facts) == {"loss": [(0, 1.0)]}


@pytest.mark.parametrize("count", [2, 200])
def test_an_event_whose_checksum_is_wrong_is_left_out_and_the_rest_is_read(
    tmp_path: Path, count: int
) -> None:
    path = write_scalars(tmp_path, {"loss": [float(n) for n in range(count)]})
    data = bytearray(path.read_bytes())
    data[-10] ^= 1  # a bit of the last value
    path.write_bytes(data + record(event(5.0, 999, scalar("loss", 3.0))))
    facts = only(tmp_path)
    assert codes(facts) == ["damaged-record"]
    assert points(facts)["loss"] == [*((n, float(n)) for n in range(count - 1)), (999, 3.0)]


def test_a_long_event_is_verified_if_it_told_something(tmp_path: Path) -> None:
    many = event(1.0, 1, *(scalar(f"m{n}", 1.0) for n in range(1_000)))
    image = event(1.0, 1, field(1, "image") + field(4, b"x" * 9_000))
    path = write_events(tmp_path, [many, image])
    data = path.read_bytes()
    assert len(points(only(tmp_path))) == 1_000
    path.write_bytes(data.replace(b"m500", b"m5OO").replace(b"xxxx", b"yyyy"))
    facts = only(tmp_path)
    assert codes(facts) == ["damaged-record"]
    assert points(facts) == {}
    assert "of 1 events" in facts.problems[0].message


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 60), st.integers(0, 300))
def test_sums_of_many_are_the_sums_of_each(texts: list[bytes], length: int, count: int) -> None:
    texts += [bytes([n % 256] * length) for n in range(count)]
    assert crc32c_of_each(texts) == [crc32c(text) for text in texts]


def test_an_empty_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents").write_bytes(b"")
    assert codes(only(tmp_path)) == ["empty-file"]


def test_huge_events_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "MAX_RECORD", 100)
    write_events(tmp_path, [b"\x2a" + bytes(200), event(7.0, 3, scalar("loss", 0.5))])
    facts = only(tmp_path)
    assert points(facts) == {"loss": [(3, 0.5)]}
    assert facts.problems == ()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
            st.integers(0, 2**63 - 1),
            st.floats(width=32),
        ),
        max_size=20,
    )
)
def test_any_scalars_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float]]
) -> None:
    root = tmp_path_factory.mktemp("any")
    write_events(root, [event(1.0, step, scalar(tag, value)) for tag, step, value in rows])
    got = [(tag, *point) for tag, found in points(only(root)).items() for point in found]
    assert sorted(map(repr, got)) == sorted(map(repr, rows))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_no_payload_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes
) -> None:
    root = tmp_path_factory.mktemp("hostile")
    write_events(root, [payload, event(2.0, 1, scalar("last", 1.0))])
    assert points(only(root)).get("last", [])[-1:] == [(1, 1.0)]


def test_not_a_number_is_a_value(tmp_path: Path) -> None:
    write_scalars(tmp_path, {"loss": [math.nan, math.inf]})
    assert [repr(value) for _, value in points(only(tmp_path))["loss"]] == ["nan", "inf"]


def test_doubles_in_tensors_are_read(tmp_path: Path) -> None:
    from tests.support.wandb_files import field

    tensor = field(1, 2) + field(6, struct.pack("<d", 0.1))
    value = field(1, "loss") + field(8, tensor) + field(9, field(1, field(1, "scalars")))
    write_events(tmp_path, [event(1.0, 1, value)])
    assert points(only(tmp_path)) == {"loss": [(1, 0.1)]}
