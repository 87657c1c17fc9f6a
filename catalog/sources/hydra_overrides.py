"""Hydra's overrides, `lr=1e-3`, `+db@src=mysql`, `~trainer`: what they mean, not their text.

Hydra writes the overrides of a job down in another form than they were given in: of a sweep it
lists one value for each job, `1e-3` becomes `0.001` and `true` becomes `True`. So overrides are
parsed by Hydra's own grammar (`hydra/grammar/OverrideLexer.g4` and `OverrideParser.g4`, 1.1 to
1.3; docs/advanced/override_grammar) and compared as values.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.hydra_values import (
    NULL,
    Choice,
    Glob,
    Interval,
    Meaning,
    Range,
    Unknown,
    Value,
    number_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_DEEPEST = 20
"""Nesting of lists, dicts and calls that is read."""
_LONGEST = 20_000
"""Characters of an override that is read."""


class OverrideError(ValueError):
    """A text is no override, or one that Hydra refuses."""


class Override(NamedTuple):
    """An override, parsed."""

    operation: str
    """Empty, `+` (add), `++` (add or change) or `~` (delete)."""
    key: str
    """Dotted key or config group."""
    package: str | None
    value: Value

    @property
    def element(self) -> str:
        """What it overrides; of several that override the same the last counts."""
        package = "" if self.package is None else f"@{self.package}"
        return f"{self.operation}{self.key}{package}"

    @property
    def is_of_hydra(self) -> bool:
        """Whether it is about Hydra itself, which `overrides.yaml` does not list."""
        return self.key.startswith(("hydra.", "hydra/"))


_ID = r"[A-Za-z_][A-Za-z0-9_-]*"
_SPECIAL = r"[A-Za-z_$][A-Za-z0-9_$-]*"
_WHOLE = r"(?:0|[1-9](?:_?[0-9])*)"
_PACKAGE = rf"(?:(?:{_SPECIAL}|{_WHOLE})(?:\.(?:{_SPECIAL}|{_WHOLE}))+|{_SPECIAL})?"
_OVERRIDE = re.compile(
    rf"(?P<operation>~|\+{{0,2}})(?P<key>{_ID}(?:/{_ID})+|{_PACKAGE})"
    rf"(?:@(?P<package>{_PACKAGE}))?(?:(?P<equal>=)[ \t]*(?P<value>.*))?",
    re.DOTALL,
)
_POINT = rf"(?:{_WHOLE}\.|{_WHOLE}?\.[0-9](?:_?[0-9])*)"
_EXPONENT = rf"(?:(?:{_POINT}|{_WHOLE})[eE][+-]?[0-9](?:_?[0-9])*)"
_TOKENS: Final = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        ("(", r"[ \t]*\([ \t]*"),
        (",", r"[ \t]*,[ \t]*"),
        (")", r"[ \t]*\)"),
        ("[", r"\[[ \t]*"),
        ("]", r"[ \t]*\]"),
        ("{", r"\{[ \t]*"),
        ("}", r"[ \t]*\}"),
        (":", r"[ \t]*:[ \t]*"),
        ("=", r"[ \t]*=[ \t]*"),
        # Of several alternatives Python takes the first that fits, ANTLR the longest.
        ("float", rf"[+-]?(?:{_EXPONENT}|{_POINT}|[Ii][Nn][Ff]|[Nn][Aa][Nn])"),
        ("float", rf"[+-]?{_WHOLE}?\.[0-9](?:_?[0-9])*"),
        ("int", rf"[+-]?{_WHOLE}"),
        ("bool", r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"),
        ("null", r"[Nn][Uu][Ll][Ll]"),
        ("sign", r"[/\-\\+.$%*@?|]"),
        ("id", _ID),
        ("escape", r"(?:\\[\\()\[\]{}:=, \t])+"),
        ("space", r"[ \t]+"),
        (
            "quoted",
            r"(?P<quote>[\"'])(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)(?P=quote)",
        ),
        ("interpolation", r"\$\{[^}]+\}"),
    )
)
"""The lexer's rules for values, in its order: the longest match counts, the first of equal ones."""
_IN_KEY = frozenset(("id", "null", "int", "float", "bool", "sign", "escape", "space"))
_IN_PRIMITIVE = _IN_KEY | {"interpolation", ":"}


@lru_cache(maxsize=4_096)
def parse_override(text: str) -> Override:
    """Parse one override.

    Args:
        text: as on the command line, the shell's quotes removed.

    Raises:
        OverrideError: Hydra would not take it for one.

    """
    match = _OVERRIDE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise OverrideError(f"{text[:80]} is no override of Hydra.")
    operation, key, package = match["operation"], match["key"], match["package"]
    if match["equal"] is None:
        if operation != "~":
            raise OverrideError(f"{text[:80]} has no value.")
        return Override(operation, key, package, NULL)  # a sweep writes it as `~key=null`
    value = _Parser(match["value"]).whole() if match["value"] else ("text", "")
    return Override(operation, key, package, value)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        kind, end = "", place
        for name, pattern in _TOKENS:
            match = pattern.match(text, place)
            if match is not None and match.end() > end:
                kind, end = name, match.end()
        if not kind:
            raise OverrideError(f"{text[place : place + 20]} is not in Hydra's grammar.")
        found.append((kind, text[place:end]))
        place = end
    return found


class _Parser:
    """Recursive descent over the tokens of a value, to a limited depth."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = _tokens(text)
        self._place = 0
        self._depth = 0

    def whole(self) -> Value:
        """Return the value: one element, or a choice of several."""
        values = [self._element()]
        while self._next(","):
            values.append(self._element())
        if self._place < len(self._found):
            raise OverrideError(f"{self._text[:80]} goes on after the value.")
        return values[0] if len(values) == 1 else Choice(tuple(map(_plain, values)))

    def _kind(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._found[place][0] if place < len(self._found) else ""

    def _next(self, kind: str) -> bool:
        if self._kind() != kind:
            return False
        self._place += 1
        return True

    def _expect(self, kind: str) -> None:
        if not self._next(kind):
            raise OverrideError(f"{self._text[:80]} lacks a {kind}.")

    def _element(self) -> Value:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise OverrideError("The value is nested too deeply.")
        kind = self._kind()
        value: Value
        if kind == "[":
            value = self._list()
        elif kind == "{":
            value = self._dict()
        elif kind == "quoted":
            value = ("text", _unquoted(self._found[self._place][1]))
            self._place += 1
        elif kind == "id" and self._kind(1) == "(":
            value = self._call()
        else:
            value = self._primitive(_IN_PRIMITIVE)
        self._depth -= 1
        return value

    def _list(self) -> Meaning:
        self._expect("[")
        values: list[Meaning] = []
        if self._kind() != "]":
            values.append(_plain(self._element()))
            while self._next(","):
                values.append(_plain(self._element()))
        self._expect("]")
        return ("list", tuple(values))

    def _dict(self) -> Meaning:
        self._expect("{")
        values: dict[Meaning, Meaning] = {}
        while self._kind() != "}":
            key = self._primitive(_IN_KEY)
            self._expect(":")
            values[key] = _plain(self._element())
            if not self._next(","):
                break
            if self._kind() == "}":
                raise OverrideError(f"{self._text[:80]} has a comma too many.")
        self._expect("}")
        return ("dict", frozenset(values.items()))

    def _call(self) -> Value:
        name = self._found[self._place][1]
        self._place += 2
        values: list[Value] = []
        named: dict[str, Value] = {}
        while self._kind() != ")":
            if self._kind() == "id" and self._kind(1) == "=":
                key = self._found[self._place][1]
                self._place += 2
                named[key] = self._element()
            elif named:
                raise OverrideError("A positional argument follows a named one.")
            else:
                values.append(self._element())
            if not self._next(","):
                break
            if self._kind() == ")":
                raise OverrideError(f"{self._text[:80]} has a comma too many.")
        self._expect(")")
        function = _FUNCTIONS.get(name)
        if function is None:
            raise OverrideError(f"Hydra has no function {name}.")
        try:
            return function(values, named)
        except (TypeError, ValueError, ArithmeticError, KeyError) as error:
            raise OverrideError(f"{name}() does not take that: {error}") from error

    def _primitive(self, allowed: frozenset[str]) -> Meaning:
        start = self._place
        while self._kind() in allowed:
            self._place += 1
        parts = self._found[start : self._place]
        if parts and parts[0][0] == "space":
            parts = parts[1:]
        if parts and parts[-1][0] == "space":
            parts = parts[:-1]
        if not parts:
            raise OverrideError(f"{self._text[:80]} lacks a value.")
        if len(parts) > 1:
            return ("text", "".join(map(_unescaped, parts)))
        kind, text = parts[0]
        if kind == "int":
            return ("number", _whole_number(text))
        if kind == "float":
            number = float(text)
            return ("number", "nan" if math.isnan(number) else number)
        if kind == "bool":
            return ("bool", text.lower() == "true")
        return NULL if kind == "null" else ("text", _unescaped(parts[0]))


def _whole_number(text: str) -> int:
    if len(text) > 400:
        raise OverrideError("The number has too many digits.")
    return int(text)


def _unescaped(token: tuple[str, str]) -> str:
    return token[1][1::2] if token[0] == "escape" else token[1]


def _unquoted(text: str) -> str:
    """Return what a quoted text holds: a backslash counts only before a quote, or at the end."""
    quote = text[0]
    body = re.sub(rf"(\\+){quote}", lambda one: one[0][1::2], text[1:])
    return body if _ends_escaped(text) else body[:-1]


def _ends_escaped(text: str) -> bool:
    """Say whether backslashes are before the last quote: unescaping took the quote along."""
    return text[1:-1].endswith("\\")


def _plain(value: Value) -> Meaning:
    if not isinstance(value, tuple):
        raise OverrideError("A sweep is part of another value.")
    return value


def _needed(value: Value) -> float:
    number = number_of(_plain(value))
    if number is None or not math.isfinite(number):
        raise ValueError("a number is needed")
    return number


def _single(values: Sequence[Value], named: dict[str, Value], *names: str) -> Value:
    """Return the only argument; several are a choice of them, as Hydra has it."""
    for name in names:
        if name in named and not values:
            return named[name]
    if not values or named.keys() - {"reverse"}:
        raise TypeError("one argument is needed")
    return values[0] if len(values) == 1 else Choice(tuple(map(_plain, values)))


def _choice(values: Sequence[Value], named: dict[str, Value]) -> Value:
    if not values or named:
        raise ValueError("choices are needed")
    first = values[0]
    # `choice((a,b))` is not in the grammar; a choice of one choice is what a cast has made.
    if len(values) == 1 and isinstance(first, Choice):
        return first
    return Choice(tuple(map(_plain, values)))


def _range(values: Sequence[Value], named: dict[str, Value]) -> Value:
    given = dict(zip(("start", "stop", "step"), values, strict=False)) | named
    if given.keys() - {"start", "stop", "step"} or "start" not in given or len(values) > 3:
        raise TypeError("start, stop and step are needed")
    step = _needed(given["step"]) if "step" in given else 1.0
    if not step:
        raise ValueError("the step is 0")
    start = _needed(given["start"])
    if "stop" not in given:
        return Range(0.0, start, step)
    return Range(start, _needed(given["stop"]), step)


def _interval(values: Sequence[Value], named: dict[str, Value]) -> Value:
    given = dict(zip(("start", "end"), values, strict=False)) | named
    if given.keys() != {"start", "end"} or len(values) > 2:
        raise TypeError("start and end are needed")
    return Interval(_needed(given["start"]), _needed(given["end"]))


def _glob(values: Sequence[Value], named: dict[str, Value]) -> Value:
    given = dict(zip(("include", "exclude"), values, strict=False)) | named
    if "include" not in given or given.keys() - {"include", "exclude"} or len(values) > 2:
        raise TypeError("names are needed")
    include = _names(given["include"])
    return Glob(include, _names(given["exclude"]) if "exclude" in given else ())


def _names(value: Value) -> tuple[str, ...]:
    plain = _plain(value)
    values: Iterable[Meaning] = plain[1] if plain[0] == "list" else (plain,)
    if any(one[0] != "text" for one in values):
        raise TypeError("names are needed")
    return tuple(str(one[1]) for one in values)


def _tag(values: Sequence[Value], named: dict[str, Value]) -> Value:
    sweep = named.get("sweep", values[-1] if values else None)
    if sweep is None or isinstance(sweep, tuple):
        raise TypeError("a sweep is needed")
    return sweep


def _shuffle(values: Sequence[Value], named: dict[str, Value]) -> Value:
    value = _single(values, named, "sweep", "list")
    if not isinstance(value, tuple):
        return value  # in which order jobs are run is all the same
    return Unknown("shuffle") if value[0] == "list" else ("list", (value,))


def _sort(values: Sequence[Value], named: dict[str, Value]) -> Value:
    value = _single(values, named, "sweep", "list")
    if isinstance(value, Range):
        return _Sorted(value, reverse=named.get("reverse") == ("bool", True)).range
    if isinstance(value, tuple) and value[0] == "list":
        listed: tuple[Meaning, ...] = value[1]
        reverse = named.get("reverse") == ("bool", True)
        return ("list", tuple(sorted(listed, key=lambda one: one[1], reverse=reverse)))
    return value


class _Sorted:
    """A range turned round, as Hydra does it: with the same numbers where the step divides it."""

    def __init__(self, value: Range, *, reverse: bool) -> None:
        step = abs(value.step)
        if not reverse and value.start > value.stop:
            self.range = Range(value.stop + step, value.start + step, -value.step)
        elif reverse and value.start < value.stop:
            self.range = Range(value.stop - step, value.start - step, -value.step)
        else:
            self.range = value


def _cast(function: Callable[[Any], object]) -> Callable[..., Value]:
    def cast(values: Sequence[Value], named: dict[str, Value]) -> Value:
        return _cast_value(_single(values, named, "value"), function)

    return cast


def _cast_value(value: Value, function: Callable[[Any], object]) -> Value:
    if isinstance(value, Choice):
        return Choice(tuple(_plain(_cast_value(one, function)) for one in value.values))
    if isinstance(value, Range | Interval):
        if function not in (int, float):
            raise ValueError("a range is cast to numbers only")
        if isinstance(value, Interval) or function is float:
            return value  # a sweeper cuts what it draws, between the same ends
        return Range(int(value.start), int(value.stop), int(value.step))
    if not isinstance(value, tuple):
        return value
    kind = value[0]
    if kind == "list":
        return ("list", tuple(_plain(_cast_value(one, function)) for one in value[1]))
    if kind == "dict":
        pairs = ((key, _plain(_cast_value(one, function))) for key, one in value[1])
        return ("dict", frozenset(pairs))
    if kind == "null":
        raise TypeError("null cannot be cast")
    made = function(float("nan") if value == ("number", "nan") else value[1])
    if isinstance(made, bool):
        return ("bool", made)
    if isinstance(made, int | float):
        return ("number", "nan" if made != made else made)
    return ("text", str(made))


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_bool(value: object) -> bool:
    if not isinstance(value, str):
        return bool(value)
    if value.lower() not in {"true", "false"}:
        raise ValueError(f"{value} is no truth value")
    return value.lower() == "true"


def _opaque(_values: Sequence[Value], _named: dict[str, Value]) -> Value:
    return Unknown("function")


_FUNCTIONS: Final[dict[str, Callable[[Sequence[Value], dict[str, Value]], Value]]] = {
    "choice": _choice,
    "range": _range,
    "interval": _interval,
    "glob": _glob,
    "tag": _tag,
    "shuffle": _shuffle,
    "sort": _sort,
    "int": _cast(int),
    "float": _cast(float),
    "str": _cast(_as_text),
    "bool": _cast(_as_bool),
    "json_str": _opaque,
    "extend_list": _opaque,
}


def format_override(override: Override) -> str:
    """Return an override as Hydra's sweepers write it; parsing that gives an equal one."""
    return f"{override.element}={_value_text(override.value)}"


def _value_text(value: Value) -> str:
    if isinstance(value, Choice):
        return f"choice({','.join(map(_text, value.values))})"
    if isinstance(value, Range):
        return f"range({value.start},{value.stop},{value.step})"
    if isinstance(value, Interval):
        return f"interval({value.start},{value.end})"
    if isinstance(value, Glob):
        include, exclude = (
            _text(("list", tuple(("text", name) for name in names)))
            for names in (value.include, value.exclude)
        )
        return f"glob({include},{exclude})"
    if isinstance(value, Unknown):
        raise OverrideError("What a function makes has no text.")
    return _text(value)


def _text(value: Meaning) -> str:
    kind, *rest = value
    if kind == "text":
        text = str(rest[0])
        quoted = re.sub(r"(\\*)('|$)", lambda one: one[1] * 2 + ("\\'" if one[2] else ""), text)
        return f"'{quoted}'"
    if kind == "list":
        return f"[{','.join(map(_text, rest[0]))}]"
    if kind == "dict":
        pairs = sorted(f"{_key_text(key)}:{_text(one)}" for key, one in rest[0])
        return f"{{{','.join(pairs)}}}"
    return "null" if kind == "null" else str(rest[0])


def _key_text(key: Meaning) -> str:
    """Return a key of a dict, which cannot be quoted."""
    text = "null" if key == NULL else str(key[1])
    return re.sub(r"[\\()\[\]{}:=, \t]", lambda one: f"\\{one[0]}", text)
