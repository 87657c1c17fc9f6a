from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.facts import Facts, Item, Mention
from catalog.sources.wandb import history, stream
from catalog.sources.wandb.framing import BLOCK, HEADER, Frames
from tests.support import wandb_files as w
from tests.support.reading import codes, fields

if TYPE_CHECKING:
    from pathlib import Path

quick = settings(max_examples=60, deadline=None)


def read_records(folder: Path, *records: bytes) -> Facts:
    return read_stream(w.write_stream(folder / "run-abc.wandb", records))


def read_stream(path: Path) -> Facts:
    return stream.read(path.parent, Item("wandb-stream", path.name, 0, 0, run_directory="."))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    w.write_stream(
        folder / "whole.wandb",
        [
            w.run("abc", project="ocr", config={"lr": 0.1, "model": {"name": "mlp"}}),
            w.environment(["lr=0.1"]),
            *(w.history({"loss": 0.5, "val": {"f1": 1.0}}, step=i) for i in range(3)),
            w.summary({"loss": 0.5}),
            w.artifact({"m.ckpt": "XUFAKrxLKna5cZ2REBfFkg=="}),
            w.output("hello\n"),
            w.finish(1),
        ],
    )
    return folder


def frames(path: Path) -> tuple[list[bytes], Frames]:
    with path.open("rb") as file:
        reader = Frames(file)
        return list(reader), reader


@quick
@given(sizes=st.lists(st.one_of(st.integers(0, 40), st.integers(32_700, 100_000)), max_size=8))
def test_records_of_any_size_come_back_whole(folder: Path, sizes: list[int]) -> None:
    records = [bytes([i % 251]) * size for i, size in enumerate(sizes)]
    got, reader = frames(w.write_stream(folder / "sizes.wandb", records))
    assert got == records
    assert (reader.problem is None) == bool(records)


def test_a_record_ending_just_before_a_block_end_is_followed_by_padding(folder: Path) -> None:
    first = b"x" * (BLOCK - len(HEADER) - 7 - 3)  # three bytes of the block are left
    got, reader = frames(w.write_stream(folder / "padding.wandb", [first, b"next"]))
    assert got == [first, b"next"]
    assert reader.problem is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-stream"),
        (HEADER, "empty-stream"),
        (HEADER[:4], "truncated-stream"),
        (b"PK\x03\x04 not a stream", "damaged-stream"),
        (HEADER + bytes(500), "truncated-stream"),
    ],
)
def test_a_stream_without_records_is_one_problem(folder: Path, content: bytes, code: str) -> None:
    path = folder / "bare.wandb"
    path.write_bytes(content)
    assert codes(read_stream(path)) == [code]


def test_a_cut_stream_gives_every_record_before_the_cut(folder: Path) -> None:
    rows = [w.history({"loss": float(i)}, step=i) for i in range(50)]
    path = w.write_stream(folder / "cut.wandb", rows)
    path.write_bytes(path.read_bytes()[:-5])
    facts = read_stream(path)
    assert codes(facts) == ["truncated-stream"]
    assert facts.series[0].values == tuple(float(i) for i in range(49))


def test_a_flipped_bit_stops_the_reading_there(folder: Path) -> None:
    rows = [w.history({"loss": float(i)}, step=i) for i in range(10)]
    path = w.write_stream(folder / "flipped.wandb", rows)
    data = bytearray(path.read_bytes())
    data[-10] ^= 0x40
    path.write_bytes(data)
    facts = read_stream(path)
    assert codes(facts) == ["damaged-stream"]
    assert len(facts.series[0].values) == 9


def test_a_missing_exit_record_is_no_problem_and_no_exit_code(folder: Path) -> None:
    facts = read_records(folder, w.run("abc"))
    assert facts.problems == ()
    assert "exit_code" not in fields(facts)


@pytest.mark.parametrize("code", [0, 1, 255])
def test_the_exit_code_is_told_even_when_it_is_zero(folder: Path, code: int) -> None:
    assert fields(read_records(folder, w.finish(code, runtime=7))) == {
        "exit_code": str(code),
        "runtime": "7",
    }


def test_identity_and_machine(folder: Path) -> None:
    facts = read_records(
        folder,
        w.run(
            "abc", entity="team", project="ocr", display_name="sleepy-sun-1", notes="é",
            group="g", job_type="train", sweep_id="sw", host="gpu1", tags=["a", "b"],
            git=("https://user:hunter2@example.com/x.git", "0" * 40), started=1_760_722_339.25,
        ),
        w.environment(["lr=1", "--api_key", "abcdef"], host="gpu2"),
        w.run("abc"),
    )  # fmt: skip
    found = fields(facts)
    assert found["display_name"] == "sleepy-sun-1"  # the second, emptier record takes nothing away
    assert json.loads(found["tags"]) == ["a", "b"]
    assert found["host"] == "gpu2"
    assert found["git_remote"] == "https://<redacted>@example.com/x.git"
    assert json.loads(found["args"]) == ["lr=1", "--api_key", "<redacted>"]
    assert found["started_at"] == "2025-10-17T17:32:19.250000Z"
    assert codes(facts) == ["secret-redacted"]


@pytest.mark.parametrize("nested", [True, False])
def test_history_with_either_spelling_of_keys(folder: Path, nested: bool) -> None:
    rows = [{"val/loss": 0.5, "_step": 3, "_timestamp": 1.5e9, "_runtime": 2.0, "note": "text"}]
    facts = read_records(folder, *(w.history(row, nested=nested) for row in rows))
    (series,) = facts.series
    assert (series.name, series.steps, series.values) == ("val/loss", (3,), (0.5,))
    assert series.times == (1.5e9,)


def test_nested_values_histograms_and_flags(folder: Path) -> None:
    keys = w.field(1, w.item(["val", "iou"], 0.25))
    facts = read_records(
        folder,
        w.history({"val": {"f1": 0.5, "deep": {"x": 1}}, "flag": True, "none": None}, step=0),
        w.history({"grad": {"_type": "histogram", "bins": [1]}, "big": 2**70}, step=1),
        w.field(2, keys + w.field(2, b"")),
    )
    assert {s.name: s.values for s in facts.series} == {
        "val.f1": (0.5,), "val.deep.x": (1.0,), "big": (float(2**70),), "val.iou": (0.25,),
    }  # fmt: skip
    assert facts.series[-1].steps == (0,)  # protobuf leaves out a step of zero


@quick
@given(
    st.lists(
        st.dictionaries(
            st.text(min_size=1, max_size=200).filter(lambda key: not key.startswith("_")),
            st.one_of(st.floats(), st.integers(-(2**80), 2**80)),
            max_size=4,
        ),
        max_size=10,
    )
)
def test_any_numbers_under_any_names_come_back(folder: Path, rows: list[dict[str, Any]]) -> None:
    facts = read_records(folder, *(w.history(row, step=i) for i, row in enumerate(rows)))
    expected: dict[str, list[tuple[int, float]]] = {}
    for step, row in enumerate(rows):
        for name, value in row.items():
            expected.setdefault(name.replace("\0", "\ufffd"), []).append((step, float(value)))
    got = {s.name: list(zip(s.steps, s.values, strict=True)) for s in facts.series}
    assert repr(got) == repr(expected)  # repr, since NaN is not equal to itself


def test_the_summary_is_the_last_value_of_each_key(folder: Path) -> None:
    facts = read_records(
        folder,
        w.summary({"loss": 3.0, "gone": 1.0, "_timestamp": 1.5e9, "_step": 4}),
        w.summary({"loss": float("nan"), "val": {"f1": 0.5}}, remove=["gone"]),
        w.summary({"_wandb": {"runtime": 9}}),
    )
    values = {one.name: one.value for one in facts.summaries}
    assert values.keys() == {"loss", "val.f1"}
    assert math.isnan(values["loss"])
    assert fields(facts) == {
        "runtime": "9", "last_step": "4", "last_timestamp": "2017-07-14T02:40:00.000000Z",
    }  # fmt: skip


def test_config_is_updated_and_keys_are_removed(folder: Path) -> None:
    facts = read_records(
        folder,
        w.run("abc", config={"lr": 1e-8, "gone": 1, "_wandb": {"cli_version": "0.19"}}),
        w.config({"model": {"name": "mlp"}, "lr": 0.5}, remove=["gone"]),
    )
    assert [c.document for c in facts.configs] == [{"lr": 0.5, "model": {"name": "mlp"}}]
    assert fields(facts)["cli_version"] == "0.19"


def test_values_of_the_config_that_are_written_over_are_noted_but_for_credentials(
    folder: Path,
) -> None:
    facts = read_records(
        folder,
        w.run("abc", config={"lr": 0.1, "model": {"name": "a", "width": 4}, "api_key": "k" * 40}),
        w.config({"lr": 0.1}),
        w.config({"lr": 0.2, "model": {"name": "b", "width": 4}, "api_key": "q" * 40}),
        w.config({"lr": 0.3, "new": 1}),
    )
    noted = [one.text for one in facts.mentions if one.role == "config-rewritten"]
    assert noted == ['["lr", 0.1]', '["model.name", "a"]', '["api_key"]', '["lr", 0.2]']


def test_the_resolved_form_survives_lightnings_second_logging(folder: Path) -> None:
    resolved = {
        "paths": {"out": "/data/run1"}, "tags": ["a"], "none": None,
        "model": {"lr": 0.1, "hidden": 8},
    }  # fmt: skip
    again = {
        "paths": "{'out': '${hydra:runtime.output_dir}'}", "tags": "['a']", "none": "None",
        "model": "{'lr': 0.2, 'hidden': 8}",
    }  # fmt: skip
    facts = read_records(folder, w.run("abc", config=resolved), w.config(again))
    (config,) = facts.configs
    assert config.document == {**resolved, "model": {"lr": 0.2, "hidden": 8}}
    assert config.unresolved == ()


def test_what_is_only_known_unresolved_is_named(folder: Path) -> None:
    facts = read_records(folder, w.config({"paths": "{'out': '${now:%Y}'}"}))
    assert facts.configs[0].unresolved == ("paths.out",)


def test_credentials_in_the_config_are_redacted_and_reported(folder: Path) -> None:
    facts = read_records(folder, w.config({"hub": {"hf_token": "hf_abc"}, "num_tokens": 5}))
    assert facts.configs[0].document == {"hub": {"hf_token": "<redacted>"}, "num_tokens": 5}
    assert "hub.hf_token" in facts.problems[0].message


def test_artifacts_and_output_become_mentions(folder: Path) -> None:
    line = "[2026-11-24 00:21:17,123][train][INFO] - start"
    facts = read_records(
        folder,
        w.artifact({"model.ckpt": "XUFAKrxLKna5cZ2REBfFkg=="}),
        w.output("\x1b[36m" + line[:20]),
        w.output(line[20:] + "\x1b[0m\nepoch 1\r"),
        w.output("Restoring states from the checkpoint path at /data/last.ckpt\n"),
    )
    assert facts.mentions[:4] == (
        Mention("artifact-file", "model.ckpt"),
        Mention("artifact-digest", "XUFAKrxLKna5cZ2REBfFkg=="),
        Mention("artifact-checkpoint", '["model.ckpt", null, "XUFAKrxLKna5cZ2REBfFkg==", null]'),
        Mention("restored-from", "/data/last.ckpt"),
    )
    plain = read_records(folder, w.output(line + "\r\n"))
    assert facts.mentions[4:] == plain.mentions  # colours and line ends do not matter


def test_a_summary_key_that_cannot_be_decoded_takes_nothing_else_along(folder: Path) -> None:
    item = w.item("loss", 0.5)
    bad = item.replace(b"\x04loss", b"\x09loss")
    assert bad != item
    facts = read_records(
        folder, w.run("abc"), w.field(3, w.field(1, bad)), w.summary({"accuracy": 0.75})
    )
    assert codes(facts) == ["malformed-record"]
    assert [(one.name, one.value) for one in facts.summaries] == [("accuracy", 0.75)]


def test_an_undecodable_record_is_counted_and_the_rest_is_read(folder: Path) -> None:
    facts = read_records(folder, b"\xff\xff\xff", w.field(2, b"\x0a\xff"), w.run("abc"))
    assert codes(facts) == ["malformed-record"]
    assert "2 records" in facts.problems[0].message
    assert fields(facts)["run_id"] == "abc"


def test_points_beyond_the_limit_are_left_out_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_POINTS", 10)
    facts = read_records(folder, *(w.history({"a": i, "b": i}, step=i) for i in range(8)))
    assert sum(len(series.values) for series in facts.series) == 10
    assert codes(facts) == ["history-cut"]


def test_a_stream_of_a_whole_run(tmp_path: Path) -> None:
    folder = w.write_run_directory(
        tmp_path / "wandb", "u-1.x y", offline=True, config={"lr": 0.1}, rows=[{"loss": 2.0}]
    )
    item = Item("", f"{folder.name}/run-u-1.x y.wandb", 0, 0, run_directory=folder.name)
    facts = stream.read(tmp_path / "wandb", item)
    assert facts.run_directory is not None
    assert facts.run_directory.tracker_run_id == "u-1.x y"
    assert facts.run_directory.mode == "offline"
    assert facts.run_directory.stamp == "2025-10-18T02:32:19"
    assert [c.document for c in facts.configs] == [{"lr": 0.1}]
    assert facts.problems == ()


@quick
@given(st.data())
def test_a_mutated_stream_never_raises(folder: Path, data: st.DataObject) -> None:
    whole = (folder / "whole.wandb").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path = folder / "mutated.wandb"
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + 4 :])
    facts = read_stream(path)
    assert len(codes(facts)) == len(set(codes(facts)))


@quick
@given(st.lists(st.tuples(st.sampled_from([2, 3, 5, 8, 11, 13, 17, 18, 25, 26]), st.binary())))
def test_a_record_of_any_bytes_never_raises(folder: Path, parts: list[tuple[int, bytes]]) -> None:
    facts = read_records(folder, *(w.field(number, data) for number, data in parts))
    assert set(codes(facts)) <= {"malformed-record", "empty-stream", "secret-redacted"}


def test_a_big_stream_is_read_block_by_block(folder: Path) -> None:
    rows = [w.history({"loss": 0.5}, step=i) for i in range(5_000)]
    path = w.write_stream(folder / "run-big.wandb", rows)
    with path.open("rb") as file:
        reader = Frames(file)
        next(iter(reader))
        assert reader.bytes_read == BLOCK < path.stat().st_size


def test_blocks_behind_a_damaged_one_are_read(folder: Path) -> None:
    rows = [w.history({"loss": float(i)}, step=i) for i in range(6_000)]
    whole = w.write_stream(folder / "gap.wandb", [*rows, w.finish(0)])
    data = bytearray(whole.read_bytes())
    blocks = len(data) // w.BLOCK
    assert blocks >= 4
    data[w.BLOCK + 9_000 : w.BLOCK + 14_000] = bytes(5_000)
    whole.write_bytes(data)
    facts = read_stream(whole)
    assert codes(facts) == ["damaged-stream"]
    assert "before and behind was read" in facts.problems[0].message
    assert fields(facts)["exit_code"] == "0"
    values = facts.series[0].values
    assert values[0] == 0.0
    assert values[-1] == 5_999.0
    # No more is lost than what begins between the damage and the end of its block.
    assert len(values) > 6_000 * (blocks - 1) / blocks
    assert all(
        float(step or 0) == value for step, value in zip(facts.series[0].steps, values, strict=True)
    )
    assert facts.bookmark is None


@pytest.mark.parametrize("place", [3, 40_000, 70_000, 100_000])
def test_a_long_record_that_is_damaged_is_lost_alone(folder: Path, place: int) -> None:
    records = [
        w.history({"loss": 1.0}, step=1),
        w.output("x" * 90_000),
        w.history({"loss": 2.0}, step=2),
        *(w.history({"loss": 3.0 + i}, step=3 + i) for i in range(2_000)),
    ]
    path = w.write_stream(folder / "long.wandb", records)
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    facts = read_stream(path)
    assert codes(facts) == ["damaged-stream"]
    assert facts.series[0].values[-1] == 2_002.0


def test_what_is_zero_up_to_its_end_is_cut_off(folder: Path) -> None:
    path = w.write_stream(folder / "zeros.wandb", [w.history({"loss": 1.0}, step=1)])
    path.write_bytes(path.read_bytes() + bytes(200_000))
    assert codes(read_stream(path)) == ["truncated-stream"]
