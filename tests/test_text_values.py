"""Literals, interpolations, stamps and secrets: what text in records means."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.interpolation import resolve, unresolved_keys
from catalog.sources.literals import parse_literal, parse_repr
from catalog.sources.plain import clean
from catalog.sources.secrets import REDACTED, is_secret, redact, redact_arguments, redact_text
from catalog.sources.stamps import moment_of_epoch, moment_of_text, stamp_of_path

quick = settings(max_examples=80, deadline=None)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("ab'\" ", max_size=4), inner),
    max_leaves=10,
)  # fmt: skip


# Literals


@quick
@given(st.dictionaries(st.text("abc", max_size=3), values, max_size=4))
def test_the_repr_of_plain_data_is_read_back(document: dict[str, Any]) -> None:
    assert parse_literal(repr(document)) == document


@quick
@given(st.text("ab'\"\\ \n\t\0é\u2028\ud800", max_size=12), st.sampled_from(["", "r", "b", "u"]))
def test_a_string_is_what_python_makes_of_it(text: str, prefix: str) -> None:
    token = f"{prefix}'{text}'"
    try:
        expected = ast.literal_eval(token)
    except (SyntaxError, ValueError):
        return
    if isinstance(expected, str):
        assert parse_literal(token) == clean(expected)


@given(st.text("{}[](),:'\"\\ 1.eaN<>-=\n", max_size=60))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    try:
        value = parse_literal(text)
    except ValueError:
        return
    json.dumps(value)


def test_objects_in_a_literal_are_marked() -> None:
    text = (
        "{'net': <Net object at 0x7f, n=1>, 'out': PosixPath('/a, b'), 'x': nan, 'y': -inf,"
        " 'shape': (1, 2), 'cls': <class 'dict'>, 'r': Ratio(1/2), 'none': None}"
    )
    value = parse_literal(text)
    assert isinstance(value, dict)
    assert repr(value.pop("x")) == "nan"
    assert value == {
        "net": {"__opaque__": "<Net object at 0x7f, n=1>"},
        "out": {"__opaque__": "PosixPath('/a, b')"}, "y": float("-inf"), "shape": [1, 2],
        "cls": {"__opaque__": "<class 'dict'>"}, "r": {"__opaque__": "Ratio(1/2)"}, "none": None,
    }  # fmt: skip


def test_a_key_that_is_an_object_is_its_text() -> None:
    assert parse_literal("{Stage.FIT: 1, 2: 'b'}") == {"Stage.FIT": 1, "2": "b"}


def test_text_alone_is_text() -> None:
    assert parse_literal("adamw") == "adamw"


@pytest.mark.parametrize("text", ["[" * 500, "{'a': 1", "{'a': 1} x", "'" * 3001, "", "x'" * 9999])
def test_cut_or_hostile_literals_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"literal|text|value|quotes"):
        parse_literal(f"[{text}")


@pytest.mark.parametrize("text", ["{'a': {'b': [1, 'x']}}", "['groundtruth']", "[{'a': 1}]"])
def test_a_repr_in_a_config_value_is_unfolded(text: str) -> None:
    assert parse_repr(text) == ast.literal_eval(text)


@pytest.mark.parametrize("text", ["[0, 1]", "{not a dict}", "{'a': 1", "None", "plain", "['"])
def test_other_text_in_a_config_value_stays_text(text: str) -> None:
    assert parse_repr(text) == text


# Interpolations


def test_references_take_the_value_and_its_type() -> None:
    document: dict[str, Any] = {
        "n": 4, "model": {"width": "${n}", "twice": "${.width}", "name": "net-${..n}-${.width}"},
        "copy": "${model}", "list": [1, {"x": "${list[0]}"}], "kind": "width",
        "nested": "${model.${kind}}",
    }  # fmt: skip
    assert resolve(document) == {
        "n": 4, "model": {"width": 4, "twice": 4, "name": "net-4-4"},
        "copy": {"width": 4, "twice": 4, "name": "net-4-4"}, "list": [1, {"x": 1}],
        "kind": "width", "nested": 4,
    }  # fmt: skip


def test_resolvers_dead_ends_circles_and_missing_values_stay_as_written() -> None:
    document: dict[str, Any] = {
        "out": "${hydra:runtime.output_dir}/x", "env": "${oc.env:HOME,none}", "dead": "${no.such}",
        "a": "${b}", "b": "${a}", "self": {"x": "${self}"}, "missing": "???", "m": "${missing}",
        "above": "${.....x}", "through": "${out}", "plain": 1,
    }  # fmt: skip
    assert resolve(document) == document
    assert unresolved_keys(document) == (
        "out", "env", "dead", "a", "b", "self.x", "m", "above", "through",
    )  # fmt: skip


def test_a_reference_that_never_closes_is_text() -> None:
    document: dict[str, Any] = {"a": "${b" + " " * 200_000, "b": "${" * 50_000}
    assert resolve(document) == document


def test_references_cannot_unfold_without_bound() -> None:
    chain: dict[str, Any] = {"l0": "x" * 100}
    chain |= {f"l{i}": f"${{l{i - 1}}}" * 10 for i in range(1, 20)}
    tree: dict[str, Any] = {"t0": {"k": 1}}
    tree |= {f"t{i}": {"a": f"${{t{i - 1}}}", "b": f"${{t{i - 1}}}"} for i in range(1, 40)}
    assert len(json.dumps(resolve({**chain, **tree}))) < 30_000_000


@quick
@given(st.dictionaries(st.text("abc.", min_size=1, max_size=3),
                       st.text("ab${}.[]01:", max_size=14), max_size=5))  # fmt: skip
def test_any_text_resolves_to_something(document: dict[str, Any]) -> None:
    resolved = resolve(document)
    assert resolved.keys() == document.keys()
    assert resolve(resolved).keys() == document.keys()


# Stamps and moments


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("outputs/ocr-unknown_training_20251018_023219", "2025-10-18T02:32:19"),
        ("outputs/2026-11-23/23-58-36", "2026-11-23T23:58:36"),
        ("multirun/2025-12-07/11-44-08/0", "2025-12-07T11:44:08"),
        ("logs/2025-12-07_11-44-08", "2025-12-07T11:44:08"),
        ("a_20240101_000000/b_20250101_000000/ckpt", "2025-01-01T00:00:00"),
        ("runs/exp_1577959773", "2020-01-02T10:09:33"),
    ],
)
def test_stamps_in_folder_names(path: str, text: str) -> None:
    stamp = stamp_of_path(path)
    assert stamp is not None
    assert stamp.text == text
    assert stamp.in_utc == path.startswith("runs/")


@pytest.mark.parametrize(
    "path",
    ["outputs/exp_20251399_023219", "11-44-08", "v1.2.3", "2025-10-18", "model_12345678", ""],
)
def test_names_without_a_stamp(path: str) -> None:
    assert stamp_of_path(path) is None


@pytest.mark.parametrize(
    ("raw", "utc", "zone", "basis"),
    [
        ("2026-11-24T00:05:04.403142Z", "2026-11-24T00:05:04.403142Z", "Z", "stated"),
        ("2026-11-24T09:04:02.316+09:00", "2026-11-24T00:04:02.316000Z", "+09:00", "stated"),
        ("2022-07-05T21:48:04.948139", "2022-07-05T21:48:04.948139Z", "Z", "assumed"),
    ],
)
def test_moments(raw: str, utc: str, zone: str, basis: str) -> None:
    moment = moment_of_text(raw, assume_utc=True)
    assert moment is not None
    assert (moment.raw, moment.utc, moment.zone, moment.basis) == (raw, utc, zone, basis)


def test_a_moment_of_unknown_zone_has_no_utc() -> None:
    moment = moment_of_text("2022-07-05T21:48:04")
    assert moment is not None
    assert (moment.utc, moment.basis) == (None, None)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_no_moment(text: str) -> None:
    assert moment_of_text(text) is None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e30, -1e30])
def test_seconds_that_no_calendar_holds(seconds: float) -> None:
    assert moment_of_epoch(seconds) is None


# Secrets


@pytest.mark.parametrize(
    "key",
    ["password", "db_password", "api_key", "apiKey", "API-KEY", "WANDB_API_KEY", "hf_token",
     "token", "access_key", "aws_secret_access_key", "client_secret", "github.token", "hubToken"],
)  # fmt: skip
def test_keys_that_name_a_credential(key: str) -> None:
    assert is_secret(key, "abc")
    assert redact({"x": {key: "abc"}}) == ({"x": {key: "<redacted>"}}, (f"x.{key}",))


@pytest.mark.parametrize(
    "key",
    ["num_tokens", "tokenizer", "max_token_length", "pad_token", "eos_token", "token_dim", "key",
     "max_tokens", "monkey", "keys", "num_key_value_heads", "secret_size", "passes", "api_version"],
)  # fmt: skip
def test_keys_that_do_not(key: str) -> None:
    assert not is_secret(key, "abc")


@pytest.mark.parametrize("value", [None, True, "", "None", "${oc.env:HF_TOKEN}", "<HUB_TOKEN>", 5])
def test_values_that_are_no_credential(value: Any) -> None:
    assert redact({"token": value}) == ({"token": value}, ())


@pytest.mark.parametrize(
    "value",
    ["AKIA" + "A1" * 8, "hf_" + "a1" * 17, "ghp_" + "a1" * 18, "sk-" + "a1" * 12,
     "-----BEGIN RSA PRIVATE KEY-----\nMII"],
)  # fmt: skip
def test_values_that_are_keys_whatever_their_name(value: str) -> None:
    assert redact({"note": [value]}) == ({"note": ["<redacted>"]}, ("note.0",))
    assert value not in redact_text(f"see {value}")


def test_the_shortest_key_is_one_and_shorter_text_is_none() -> None:
    shortest = "xoxb-0123456789"
    assert redact_text(shortest) == REDACTED
    assert redact_text(shortest[:-1]) == shortest[:-1]
    assert redact_text("a://b:c@d") == f"a://{REDACTED}@d"


def test_a_w_and_b_key_is_known_by_its_form_and_place_and_a_commit_is_none() -> None:
    key = "0123456789abcdef" * 2 + "01234567"
    assert redact({"wandb": {"key": key}, "commit": key}) == (
        {"wandb": {"key": "<redacted>"}, "commit": key},
        ("wandb.key",),
    )


def test_everything_below_a_credential_is_one() -> None:
    assert redact({"credentials": {"user": "me", "n": 1}})[0] == {
        "credentials": {"user": "<redacted>", "n": "<redacted>"}
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:pw@host/x", "https://<redacted>@host/x"),
        ("https://ghtoken@github.com/x", "https://<redacted>@github.com/x"),
        ("postgresql://u:p@db/x", "postgresql://<redacted>@db/x"),
        ("ssh://git@github.com/x", "ssh://git@github.com/x"),
        ("git@github.com:x/y.git", "git@github.com:x/y.git"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
    ],
)
def test_passwords_in_addresses(given: str, shown: str) -> None:
    assert redact_text(given) == shown


def test_credentials_on_a_command_line() -> None:
    arguments = ["lr=1", "+db.password=pw", "--api-key", "abc", "--token=abc", "--max-tokens", "5"]
    assert redact_arguments(arguments) == [
        "lr=1", "+db.password=<redacted>", "--api-key", "<redacted>", "--token=<redacted>",
        "--max-tokens", "5",
    ]  # fmt: skip
