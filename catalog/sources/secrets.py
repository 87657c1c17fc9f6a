"""Credentials that strayed into configurations and command lines are not stored.

Two signs: a key that is named like a credential (`api_key`, `hf_token`, `password`; but not
`num_tokens`, `pad_token`, `tokenizer`), and text that looks like a well-known kind of key. A
`Policy` adds keys of one's own, or turns it all off.
"""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.sources.facts import Plain, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REDACTED = "<redacted>"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is taken for a credential."""

    enabled: bool = True
    keys: frozenset[str] = frozenset()
    """Further keys, in lower case: the last part of a dotted key, or all of it."""


_policy = Policy()


@contextmanager
def policy(wanted: Policy) -> Iterator[None]:
    """Redact by this policy until the block ends, here and in processes forked meanwhile.

    Processes on other machines keep the policy that they started with, which redacts.
    """
    global _policy
    before, _policy = _policy, wanted
    try:
        yield
    finally:
        _policy = before


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET = frozenset({
    "password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials",
    "apikey", "authorization", "bearer", "cookie", "passcode",
})  # fmt: skip
_KEY_OWNERS = frozenset({
    "api", "access", "secret", "private", "encryption", "signing", "ssh", "auth", "account",
    "storage", "license", "wandb", "service", "client",
})  # fmt: skip
_TOKEN_OWNERS = frozenset({
    "hf", "hub", "huggingface", "huggingfacehub", "auth", "access", "api", "refresh", "bearer",
    "github", "gh", "gitlab", "git", "wandb", "slack", "bot", "telegram", "discord", "security",
    "session", "secret", "personal", "login", "oauth", "csrf", "neptune", "comet", "mlflow",
    "clearml", "openai", "anthropic", "deploy", "registry", "pypi",
})  # fmt: skip
_MEASURES = frozenset({
    "num", "n", "max", "min", "len", "length", "size", "count", "id", "ids", "index", "idx",
    "use", "has", "is", "dim", "type", "name", "file", "path", "limit", "per", "weight", "loss",
})  # fmt: skip
_VALUES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"
    r"|hf_[A-Za-z0-9]{30,}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}"
    r"|github_pat_[A-Za-z0-9_]{22,}"
    r"|glpat-[A-Za-z0-9_-]{20,}"
    r"|sk-[A-Za-z0-9_-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}"
    r"|wandb_v1_[A-Za-z0-9_]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\s\S]*"
    r")"
)
_SHORTEST = 15
"""Characters of the shortest text that is such a key."""
_USERINFO = re.compile(
    r"(?<=://)(?:[^\s/@:]{0,256}:[^\s/]{1,256}|(?:(?<=https://)|(?<=http://))[^\s/@:]{1,256})@"
)
_DATABASE_USERINFO = re.compile(
    r"(?:postgres|mysql|mariadb|mssql|oracle|redis|mongodb|amqp|cockroach)[\w+]{0,64}://"
    r"(?P<userinfo>[^\s/@:]{0,256}:\S{1,256}@)"
)
"""What people write there unescaped: a password with a slash in it."""
_IN_QUERY = re.compile(r"(?<=[?&])((?:ssl)?password|passwd|pwd)=[^\s&]{1,256}", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<[^<>]*>|\$\{.*\}|\*+")
_WANDB_KEY = re.compile(r"[0-9a-f]{40}")
_ASSIGNMENT = re.compile(r"(\s*[-+~]{0,2}([^=\s]{1,128})=)([\s\S]*)")


def redact(document: dict[str, Plain]) -> tuple[dict[str, Plain], tuple[str, ...]]:
    """Return a copy without credentials, and the dotted keys where they stood.

    Args:
        document: plain data; it is not changed.

    """
    if not _policy.enabled:
        return document, ()
    found: list[str] = []
    return {key: _value(key, part, key, found) for key, part in document.items()}, tuple(found)


def redact_text(text: str) -> str:
    """Return text with everything that looks like a credential replaced."""
    if not _policy.enabled or (len(text) < _SHORTEST and "://" not in text):
        return text
    if "://" in text:
        text = _DATABASE_USERINFO.sub(_without_userinfo, text)
        text = _IN_QUERY.sub(rf"\1={REDACTED}", _USERINFO.sub(f"{REDACTED}@", text))
    return _VALUES.sub(REDACTED, text)


def _without_userinfo(match: re.Match[str]) -> str:
    return match[0].removesuffix(match["userinfo"]) + f"{REDACTED}@"


def redact_arguments(arguments: Iterable[str]) -> list[str]:
    """Return a command line without credentials: `--api_key X`, `api_key=X`, `+db.password=X`."""
    if not _policy.enabled:
        return list(arguments)
    clean: list[str] = []
    hide_next = False
    for argument in arguments:
        assignment = _ASSIGNMENT.fullmatch(argument) if "=" in argument else None
        if hide_next and not argument.startswith("-"):
            clean.append(REDACTED)
        elif assignment and assignment[3] and is_secret(assignment[2].lstrip("-+~"), assignment[3]):
            clean.append(assignment[1] + REDACTED)
        else:
            clean.append(redact_text(argument))
        hide_next = argument.startswith("--") and is_secret(argument.lstrip("-"), "x" * 8)
    return clean


def redaction_problem(keys: tuple[str, ...]) -> tuple[Problem, ...]:
    """Return the problem that records a redaction, or nothing where there was none."""
    if not keys:
        return ()
    named = ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
    return (
        Problem(
            "secret-redacted",
            f"Looks like a credential and is stored as {REDACTED}: {named}. "
            "Remove it from the file, and revoke it if it is real.",
        ),
    )


def is_secret(key: str, value: Plain) -> bool:
    """Say whether a value under this key is a credential, judged by the key.

    Args:
        key: one key, or a dotted one of which the last part counts.
        value: empty values, booleans and numbers under token-like keys are no credentials.

    """
    if value is None or isinstance(value, (bool, dict, list)) or value in ("", "None", "null"):
        return False
    if isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
        return False
    if _policy.keys and {key.lower(), key.lower().rpartition(".")[2]} & _policy.keys:
        return True
    words, sounds_secret, is_owned = _sound_of(key)
    if not words:
        return False
    if sounds_secret:
        return True
    if not isinstance(value, str):
        return False
    if is_owned:
        return True
    if words[-1] == "key" and _WANDB_KEY.fullmatch(value):
        return True
    if words[-1] != "token" or value.startswith("["):
        return False
    return len(words) == 1 or words[-2] in _TOKEN_OWNERS


@lru_cache(maxsize=8_192)
def _sound_of(key: str) -> tuple[tuple[str, ...], bool, bool]:
    """Return the words of a key, whether they name a secret, and whether somebody's key."""
    words = tuple(word.lower() for word in _WORDS.findall(key.rpartition(".")[2]))
    is_secret = bool(_SECRET.intersection(words)) and not _MEASURES.intersection(words)
    is_owned = any(
        owner in _KEY_OWNERS and word in {"key", "keys"}
        for owner, word in itertools.pairwise(words)
    )
    return words, is_secret, is_owned


def _ends_alike(key: str, dotted: str) -> bool:
    """Say whether two keys are judged alike: by their last parts, where no key is listed whole."""
    return not _policy.keys and (key is dotted or dotted.endswith(f".{key}"))


def _value(key: str, value: Plain, dotted: str, found: list[str]) -> Plain:
    if isinstance(value, dict):
        hidden = is_secret(key, "x" * 8)
        return {
            name: _value(key if hidden else name, part, f"{dotted}.{name}", found)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [_value(key, part, f"{dotted}.{i}", found) for i, part in enumerate(value)]
    if value != REDACTED and (
        is_secret(key, value) or (not _ends_alike(key, dotted) and is_secret(dotted, value))
    ):
        found.append(dotted)
        return REDACTED
    if isinstance(value, str):
        text = redact_text(value)
        if text != value:
            found.append(dotted)
        return text
    return value
