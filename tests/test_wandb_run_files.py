from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from catalog.sources.facts import Facts, Mention
from catalog.sources.log_lines import HEAD_BYTES, MAX_LINES, scan_log
from tests.support import wandb_files as w
from tests.support.reading import codes, fields, items, read_tree

if TYPE_CHECKING:
    from pathlib import Path

RUN = "wandb/run-20251018_023219-tit2247i"


def write(root: Path, path: str, content: str | bytes) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


def read_one(root: Path, path: str, content: str | bytes) -> Facts:
    write(root, path, content)
    return read_tree(root)[path]


def config_yaml(root: Path, content: str) -> Facts:
    return read_one(root, f"{RUN}/files/config.yaml", content)


# Run directories


@pytest.mark.parametrize(
    ("name", "run_id", "mode", "stamp"),
    [
        ("run-20251018_023219-tit2247i", "tit2247i", "online", "2025-10-18T02:32:19"),
        ("offline-run-20251018_023219-x", "x", "offline", "2025-10-18T02:32:19"),
        ("run-20251018_023219-det-r18_seed34.v2", "det-r18_seed34.v2", "online",
         "2025-10-18T02:32:19"),
        ("run-20251018_023219-NAME 1", "NAME 1", "online", "2025-10-18T02:32:19"),
        ("run-20251399_023219-abc", "abc", "online", None),
    ],
)  # fmt: skip
def test_what_a_run_directorys_name_tells(
    tmp_path: Path, name: str, run_id: str, mode: str, stamp: str | None
) -> None:
    place = read_one(tmp_path, f"old/{name}/files/wandb-summary.json", "{}").run_directory
    assert place is not None
    assert (place.path, place.tracker) == (f"old/{name}", "wandb")
    assert (place.tracker_run_id, place.mode, place.stamp) == (run_id, mode, stamp)
    assert not place.stamp_in_utc


def test_every_file_of_a_run_names_the_same_run_directory(tmp_path: Path) -> None:
    w.write_run_directory(tmp_path / "wandb", "tit2247i", rows=[{"loss": 1.0}])
    tree = read_tree(tmp_path)
    assert {facts.run_directory for facts in tree.values()} == {
        tree[f"{RUN}/run-tit2247i.wandb"].run_directory
    }
    assert [item.run_directory for item in items(tmp_path)] == [RUN] * 7


def test_in_the_flat_layout_of_0_8_the_stamp_is_utc(tmp_path: Path) -> None:
    run = "wandb/dryrun-20191220_140406-meifn9da"
    write(tmp_path, f"{run}/wandb-history.jsonl", '{"loss": 2, "_step": 0}\n')
    facts = read_one(tmp_path, f"{run}/wandb-metadata.json", '{"state": "killed", "exitcode": 255}')
    assert facts.run_directory is not None
    assert facts.run_directory.stamp_in_utc
    assert facts.run_directory.mode == "offline"
    assert fields(facts) == {"state": "killed", "exit_code": "255"}


def test_a_real_latest_run_folder_is_a_copy_that_takes_its_id_from_the_stream(
    tmp_path: Path,
) -> None:
    for name in ("latest-run", "latest-run.74870"):
        w.write_stream(tmp_path / "wandb" / name / "run-abc.wandb", [w.run("abc")])
        place = read_one(tmp_path, f"wandb/{name}/files/config.yaml", "_wandb: {value: {}}")
        assert place.run_directory is not None
        assert place.run_directory.copy_of_latest
        assert place.run_directory.tracker_run_id == "abc"


def test_a_latest_run_folder_without_a_stream_has_no_id(tmp_path: Path) -> None:
    place = read_one(tmp_path, "wandb/latest-run/files/wandb-metadata.json", "{}").run_directory
    assert place is not None
    assert (place.copy_of_latest, place.tracker_run_id, place.mode) == (True, None, None)


def test_links_to_the_latest_run_are_not_entered(tmp_path: Path) -> None:
    folder = w.write_run_directory(tmp_path / "wandb", "abc")
    (tmp_path / "wandb" / "latest-run").symlink_to(folder.name)
    (tmp_path / "wandb" / "debug.log").symlink_to(f"{folder.name}/logs/debug.log")
    assert {item.run_directory for item in items(tmp_path)} == {f"wandb/{folder.name}"}


def test_a_run_directory_given_as_the_root(tmp_path: Path) -> None:
    folder = w.write_run_directory(tmp_path, "tit2247i")
    tree = read_tree(folder)
    assert {facts.run_directory.path for facts in tree.values() if facts.run_directory} == {"."}
    assert {
        facts.run_directory.tracker_run_id for facts in tree.values() if facts.run_directory
    } == {"tit2247i"}


def test_source_folders_named_wandb_are_no_runs(tmp_path: Path) -> None:
    write(tmp_path, "utils/wandb/sweep.yaml", "method: grid")
    write(tmp_path, "logs/debug.log", "config: {'a': 1}\n")
    write(tmp_path, "files/output.log", "hello\n")
    assert list(items(tmp_path)) == []


# config.yaml


@pytest.mark.parametrize(
    "text",
    [
        "wandb_version: 1\n\nlr:\n  desc: null\n  value: 0.1\nn:\n  desc: null\n  value: {a: 1}\n",
        "lr:\r\n    value: 0.1\r\nn:\r\n    value:\r\n        a: 1\r\n",
    ],
)
def test_both_wrappings_of_config_values_are_undone(tmp_path: Path, text: str) -> None:
    own = (
        "_wandb:\n value: {cli_version: 0.17.9, python_version: 3.10.1, start_time: 1673180475.5}\n"
    )
    facts = config_yaml(tmp_path, text + own)
    assert [c.document for c in facts.configs] == [{"lr": 0.1, "n": {"a": 1}}]
    assert fields(facts) == {
        "cli_version": "0.17.9", "python_version": "3.10.1",
        "started_at": "2023-01-08T12:21:15.500000Z",
    }  # fmt: skip


def test_a_config_of_a_killed_run_holds_no_config(tmp_path: Path) -> None:
    facts = config_yaml(tmp_path, "_wandb: {value: {cli_version: 0.17.9}}\n")
    assert facts.configs == ()
    assert facts.problems == ()


def test_floats_of_the_go_writer_are_numbers_and_text_of_the_python_writer_is_text(
    tmp_path: Path,
) -> None:
    go = config_yaml(tmp_path, "eps: {value: 1e-08}\n")
    assert go.configs[0].document == {"eps": 1e-8}
    python = config_yaml(tmp_path, "wandb_version: 1\neps: {desc: null, value: 1e-08}\n")
    assert python.configs[0].document == {"eps": "1e-08"}


def test_repr_text_and_omegaconf_internals_are_unfolded(tmp_path: Path) -> None:
    lightning = config_yaml(
        tmp_path,
        "model: {value: '{''name'': ''mlp'', ''out'': ''${hydra:runtime.output_dir}''}'}\n",
    )
    assert lightning.configs[0].document["model"] == {
        "name": "mlp", "out": "${hydra:runtime.output_dir}",
    }  # fmt: skip
    assert lightning.configs[0].unresolved == ("model.out",)
    omegaconf = config_yaml(
        tmp_path,
        "_content: {value: {train: '{''lr'': 6e-05}'}}\n_metadata: {value: 'Metadata(x)'}\n"
        "_parent: {value: null}\n",
    )
    assert omegaconf.configs[0].document == {"train": {"lr": 6e-5}}


def test_the_metadata_copy_in_a_config_is_read_below_the_metadata_itself(tmp_path: Path) -> None:
    facts = config_yaml(
        tmp_path, "_wandb: {value: {e: {w1: {host: gpu1, startedAt: '2025-12-07T03:44:09.7Z'}}}}\n"
    )
    metadata = read_one(tmp_path, f"{RUN}/files/wandb-metadata.json", '{"host": "gpu1"}')
    assert fields(facts) == {"host": "gpu1", "started_at": "2025-12-07T03:44:09.700000Z"}
    assert min(f.rank for f in facts.fields) > min(f.rank for f in metadata.fields)


def test_sweep_configs_stand_for_the_run_in_their_name(tmp_path: Path) -> None:
    path = "wandb/sweep-bpvxa6nz/config-yfcq2zsh.yaml"
    facts = read_one(tmp_path, path, "wandb_version: 1\n\nlr:\n  value: 0.0585\n")
    assert facts.run_directory is not None
    assert (facts.run_directory.path, facts.run_directory.tracker_run_id) == (path, "yfcq2zsh")
    assert facts.configs[0].document == {"lr": 0.0585}
    assert fields(facts) == {"sweep_id": "bpvxa6nz"}


def test_a_config_that_cannot_be_read_is_a_problem_of_its_run(tmp_path: Path) -> None:
    facts = config_yaml(tmp_path, "a: [1\n")
    assert codes(facts) == ["unreadable-yaml"]
    assert facts.run_directory is not None


# wandb-metadata.json and wandb-summary.json


def metadata(root: Path, content: object) -> dict[str, str]:
    return fields(read_one(root, f"{RUN}/files/wandb-metadata.json", json.dumps(content)))


def test_metadata_fields(tmp_path: Path) -> None:
    assert metadata(
        tmp_path,
        {
            "python": "CPython 3.12.9", "startedAt": "2022-07-05T21:48:04.948139",
            "heartbeatAt": "2022-07-05T21:49:00", "email": "a@example.com", "args": ["seed=1"],
            "git": {"remote": None, "commit": "abc"}, "gpu_nvidia": [{"name": "RTX 4070"}],
            "cpu_count": 8, "state": "running", "program": "train.py",
        },
    ) == {
        "python_version": "3.12.9", "started_at": "2022-07-05T21:48:04.948139Z",
        "args": '["seed=1"]', "git_commit": "abc", "gpu": "RTX 4070", "cpu_count": "8",
        "state": "running", "program": "train.py", "heartbeat": "2022-07-05T21:49:00.000000Z",
    }  # fmt: skip


@pytest.mark.parametrize("args", [None, [], "x", [1]])
def test_no_arguments_are_no_field(tmp_path: Path, args: object) -> None:
    assert metadata(tmp_path, {"args": args, "git": "x", "python": 3, "startedAt": "soon"}) == {}


def test_credentials_in_arguments_are_hidden_and_reported(tmp_path: Path) -> None:
    content = json.dumps({"args": ["--wandb-key", "abc"]})
    facts = read_one(tmp_path, f"{RUN}/files/wandb-metadata.json", content)
    assert fields(facts) == {"args": '["--wandb-key", "<redacted>"]'}
    assert codes(facts) == ["secret-redacted"]


def test_a_summary_gives_numbers_and_progress(tmp_path: Path) -> None:
    facts = read_one(
        tmp_path,
        f"{RUN}/files/wandb-summary.json",
        b'{"loss": NaN, "n": 3, "flag": true, "text": "x", "none": null, "val": {"f1": 0.5},'
        b'"h": {"_type": "histogram", "bins": [1]}, "_step": 4, "_runtime": 5.5,'
        b'"_timestamp": 1.765079148134123e+09, "_wandb": {"runtime": 9}}\n\0\0',
    )
    assert (
        repr({one.name: one.value for one in facts.summaries})
        == "{'loss': nan, 'n': 3.0, 'val.f1': 0.5}"
    )
    assert fields(facts) == {
        "runtime": "9", "row_runtime": "5.5", "last_step": "4",
        "last_timestamp": "2025-12-07T03:45:48.134123Z",
    }  # fmt: skip


def test_a_summary_of_zero_bytes_is_a_problem(tmp_path: Path) -> None:
    assert codes(read_one(tmp_path, f"{RUN}/files/wandb-summary.json", b"")) == ["empty-file"]


def test_history_of_0_8(tmp_path: Path) -> None:
    path = "wandb/run-20191220_140406-x/wandb-history.jsonl"
    facts = read_one(
        tmp_path, path,
        '{"loss": 2, "_step": 0, "_timestamp": 1577959773.5}\nbroken\n\n{"loss": 1, "_step": 1}\n',
    )  # fmt: skip
    (series,) = facts.series
    assert (series.steps, series.values) == ((0, 1), (2.0, 1.0))
    assert series.times == (1577959773.5, None)
    assert codes(facts) == ["malformed-line"]


# Logs

DEBUG = """\
2026-11-23 23:57:44,498 INFO    MainThread:1 [wandb_init.py:init():857] wandb.init called with sweep_config: {}
config: {'_wandb': {}, 'exp': 'det'}
2026-11-23 23:57:44,498 INFO    MainThread:1 [wandb_init.py:x():1] Logging user logs to /w/run-1-a/logs/debug.log
2026-11-23 23:57:44,749 INFO    MainThread:1 [wandb_run.py:_config_callback():1436] config_cb None None {'model': {'net': <Net
 (1)>, 'out': '/data'}, 'tags': ['a']}
2026-11-23 23:57:44,766 INFO    MainThread:1 [wandb_run.py:_config_callback():1436] config_cb None None {'model': "{'net': 1, 'out': '${x:y}'}"}
2026-11-23 23:57:44,767 INFO    MainThread:1 [wandb_run.py:_config_callback():1393] config_cb model/num_parameters 66955779 None
2026-11-23 23:57:44,938 INFO    MainThread:1 [wandb_run.py:_finish():2321] finishing run team/ocr/tit2247i
2026-11-23 23:57:44,938 INFO    MainThread:1 [wandb_run.py:_atexit_cleanup():2538] got exitcode: 1
"""  # noqa: E501


def test_the_debug_log_holds_config_identity_and_exit_code(tmp_path: Path) -> None:
    facts = read_one(tmp_path, f"{RUN}/logs/debug.log", DEBUG)
    assert [(c.kind, c.document) for c in facts.configs] == [
        (
            "wandb-debug-log",
            {
                "exp": "det", "model": {"net": 1, "out": "/data"}, "tags": ["a"],
                "model/num_parameters": 66955779,
            },
        )
    ]  # fmt: skip
    assert fields(facts) == {
        "exit_code": "1", "entity": "team", "project": "ocr", "run_id": "tit2247i",
    }  # fmt: skip
    assert facts.mentions == (Mention("run-directory", "/w/run-1-a"),)


def test_a_hostile_debug_log_is_read_in_one_pass(tmp_path: Path) -> None:
    text = "2026-11-23 23:57:44,749 x] config_cb a " * 40_000 + "Logging user logs to " * 40_000
    facts = read_one(tmp_path, f"{RUN}/logs/debug.log", text + " None")
    assert len(facts.mentions) == 0


def test_a_config_entry_cut_in_the_middle_is_a_problem(tmp_path: Path) -> None:
    facts = read_one(tmp_path, f"{RUN}/logs/debug.log", "config: {'a': 1, 'b': {'c'")
    assert codes(facts) == ["unreadable-config"]
    assert facts.configs == ()


def test_ranks_put_the_stream_before_the_file_before_the_log(tmp_path: Path) -> None:
    w.write_run_directory(tmp_path / "wandb", "tit2247i", config={"lr": 0.5})
    configs = [c for facts in read_tree(tmp_path).values() for c in facts.configs]
    assert [c.kind for c in sorted(configs, key=lambda c: c.rank)] == [
        "wandb-stream", "wandb-config", "wandb-debug-log",
    ]  # fmt: skip
    assert all(c.document == {"lr": 0.5} for c in configs)


@pytest.mark.parametrize(
    ("time", "offset"),
    [("2026-11-24T09:04:02.316+09:00", "+09:00"), ("2026-11-24T00:16:10.449085946Z", "+00:00")],
)
def test_the_internal_log_states_the_zone_of_the_machine(
    tmp_path: Path, time: str, offset: str
) -> None:
    facts = read_one(
        tmp_path, f"{RUN}/logs/debug-internal.log", f'{{"time":"{time}","level":"INFO"}}\n'
    )
    assert fields(facts) == {"utc_offset": offset}


def test_an_output_log_gives_stamped_lines_restores_and_its_ending(tmp_path: Path) -> None:
    facts = read_one(
        tmp_path,
        f"{RUN}/files/output.log",
        "\r  5%|##\r[2026-11-24 00:21:17,123][train][INFO] - start\nno stamp\n"
        "Restoring states from the checkpoint path at C:\\x\\last.ckpt\n"
        'Traceback (most recent call last):\n  File "t.py", line 1\nRuntimeError: CUDA\n',
    )
    roles = [mention.role for mention in facts.mentions]
    assert roles == ["restored-from", "log-line"]
    assert facts.mentions[0].text == "C:\\x\\last.ckpt"
    assert fields(facts) == {"log_ending": "RuntimeError"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ValueError: caught and printed\n",
        "Traceback (most recent call last):\nValueError\n" + "ok\n" * 50,
    ],
)
def test_a_log_that_goes_on_has_no_ending(tmp_path: Path, text: str) -> None:
    assert fields(read_one(tmp_path, f"{RUN}/files/output.log", text)) == {}


def test_ctrl_c_is_an_ending_without_a_traceback(tmp_path: Path) -> None:
    facts = read_one(tmp_path, f"{RUN}/files/output.log", "epoch 3\nKeyboardInterrupt\n")
    assert fields(facts) == {"log_ending": "KeyboardInterrupt"}


def stamped(number: int) -> str:
    return (
        f"[2026-11-24 00:{number // 60 % 60:02}:{number % 60:02},{number:03}][m][INFO] - {number}"
    )


def test_of_many_stamped_lines_the_first_and_the_last_are_kept(tmp_path: Path) -> None:
    lines = [stamped(number) for number in range(900)]
    whole = scan_log(write(tmp_path, "a.log", "\n".join(lines))).mentions()
    ends = scan_log(write(tmp_path, "b.log", "\n".join(lines[:100] + lines[-100:]))).mentions()
    assert whole == ends
    assert len(whole) == MAX_LINES


def test_of_a_long_log_only_head_and_tail_are_read(tmp_path: Path) -> None:
    filler = "x" * 99 + "\n"
    path = write(
        tmp_path,
        "long.log",
        stamped(1)
        + "\n"
        + filler * (HEAD_BYTES // 100)
        + stamped(2)
        + "\n"
        + filler * 5000
        + stamped(3),
    )
    short = write(tmp_path, "short.log", f"{stamped(1)}\n{stamped(3)}\n")
    assert scan_log(path).mentions() == scan_log(short).mentions()
