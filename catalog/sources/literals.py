"""Python literals in text: configs that were logged with `repr`.

W&B's `debug.log` prints configs as dictionaries, and Lightning's `save_hyperparameters`
stores nested values as their `repr`. `ast.literal_eval` fails on the first object in such a
text and can exhaust the stack on hostile ones; this parser keeps what is no literal
(`<Model object at 0x7f..>`, `tensor(1.)`, `PosixPath('x')`) as `{"__opaque__": "<text>"}`, which
nobody takes for the value that stood there, and its depth is bounded.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from catalog.sources.plain import MAX_DEPTH, clean

if TYPE_CHECKING:
    from catalog.sources.facts import Plain

MAX_LENGTH = 512 * 1024
"""Characters of one literal that are looked at."""

OPAQUE = "__opaque__"
"""Key of the mark that stands for an object."""
_MAX_LOOSE_QUOTES = 100
_MAX_DIGITS = 40

_SPACE = re.compile(r"\s*")
_STRING = re.compile(r"""[bBrRuU]{0,2}(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][-+]?\d+)?|inf\b|nan\b)")
_WORDS = {"None": None, "True": True, "False": False}
_WORD = re.compile(r"(?:None|True|False)\b")
_ENDS = frozenset(",:}])")
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_REPR = re.compile(r"\s*(?:\{\s*['\"].*\}|\[\s*(?:['\"]|\{\s*['\"]).*\]|\{\s*\})\s*", re.DOTALL)


def parse_literal(text: str) -> Plain:
    """Return what a Python literal says: tuples and sets as lists, keys as text.

    What is no literal is text where it is the whole text, and a mark inside a container: strings
    have quotes there, so that it stands for an object.

    Args:
        text: one literal, with anything after it but blanks forbidden.

    Raises:
        ValueError: the text is no literal, is cut off, too long or nested too deep.

    """
    if len(text) > MAX_LENGTH:
        raise ValueError("the literal is too long")
    parser = _Parser(text)
    value = parser.value(0)
    parser.skip_space()
    if parser.at != len(text):
        raise ValueError(f"unexpected text at character {parser.at}")
    return value


def parse_repr(value: Plain) -> Plain:
    """Return the container that a string is the `repr` of, or the value as it stands.

    Only `{'...` and `['...` are taken for a `repr`; any other text is just text.
    """
    if isinstance(value, str) and _REPR.fullmatch(value):
        try:
            return parse_literal(value)
        except ValueError:
            return value
    return value


class _Opaque(str):
    """Text that is no literal."""

    __slots__ = ()


class _Parser:
    """A recursive descent over one text; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self._loose_quotes = 0

    def skip_space(self) -> None:
        match = _SPACE.match(self._text, self.at)
        self.at = match.end() if match else self.at

    def _peek(self) -> str:
        character = self._text[self.at : self.at + 1]
        if character.isspace():
            self.skip_space()
            character = self._text[self.at : self.at + 1]
        if not character:
            raise ValueError("the literal is cut off")
        return character

    def value(self, depth: int) -> Plain:
        found = self._value(depth)
        return {OPAQUE: found} if depth and type(found) is _Opaque else found

    def _value(self, depth: int) -> Plain:
        if depth > MAX_DEPTH:
            raise ValueError("the literal is nested too deep")
        start = self._peek()
        if start in _CLOSING:
            return self._container(start, depth)
        begin = self.at
        value = self._scalar()
        if self.at < len(self._text) and self._peek() not in _ENDS:
            self.at = begin
            return self._opaque()
        return value

    def _scalar(self) -> Plain:
        if match := _STRING.match(self._text, self.at):
            self.at = match.end()
            return _string(match[0])
        if match := _WORD.match(self._text, self.at):
            self.at = match.end()
            return _WORDS[match[0]]
        if match := _NUMBER.match(self._text, self.at):
            self.at = match.end()
            return _number(match[0])
        return self._opaque()

    def _container(self, opening: str, depth: int) -> Plain:
        closing = _CLOSING[opening]
        self.at += 1
        mapping: dict[str, Plain] = {}
        values: list[Plain] = []
        while self._peek() != closing:
            first = self.value(depth + 1)
            if opening == "{" and self._peek() == ":":
                self.at += 1
                mapping[_key(first)] = self.value(depth + 1)
            else:
                values.append(first)
            if self._peek() == ",":
                self.at += 1
            elif self._peek() != closing:
                raise ValueError(f"unexpected text at character {self.at}")
        self.at += 1
        return mapping if opening == "{" and not values else values

    def _opaque(self) -> _Opaque:
        """Take text that is no literal, up to where its container goes on."""
        begin = self.at
        open_brackets: list[str] = []
        pairs = {**_CLOSING, "<": ">"}
        while self.at < len(self._text):
            character = self._text[self.at]
            if character in "'\"":
                if match := _STRING.match(self._text, self.at):
                    self.at = match.end()
                    continue
                # Each costs a look at the rest of the line, so hostile text could take hours.
                self._loose_quotes += 1
                if self._loose_quotes > _MAX_LOOSE_QUOTES:
                    raise ValueError("too many quotes that are never closed")
            if open_brackets and character == open_brackets[-1]:
                open_brackets.pop()
            elif character in pairs:
                open_brackets.append(pairs[character])
            elif not open_brackets and character in _ENDS:
                break
            self.at += 1
        text = self._text[begin : self.at].strip()
        if not text:
            raise ValueError(f"no value at character {begin}")
        return _Opaque(clean(text))


def _key(value: Plain) -> str:
    if isinstance(value, dict) and value.keys() == {OPAQUE}:
        value = value[OPAQUE]
    return str(value)


def _string(token: str) -> str:
    if token[0] in "'\"" and "\\" not in token and token.isprintable():
        return token[1:-1]
    try:
        value = ast.literal_eval(token)
    except (SyntaxError, ValueError):
        return clean(token)
    return clean(value if isinstance(value, str) else token)


def _number(token: str) -> int | float | str:
    digits = token.replace("_", "")
    if digits.lstrip("+-").isdecimal() and len(digits) <= _MAX_DIGITS:
        return int(digits)
    try:
        return float(digits)
    except ValueError:
        return token
