"""Numbers and YAML as W&B's Go core prints them, which differs from Python's in ways that matter.

A float without a fraction loses its point (`3.0` becomes `3`), small ones have no point before
the exponent (`1e-06`, a string to a YAML 1.1 loader), and from a million on all have an exponent.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_AMBIGUOUS = re.compile(
    r"[-+]?(?:\d[\d_]*)?\.?\d*(?:[eE][-+]?\d+)?"  # a number, or nothing at all
    r"|\d{4}-\d\d-\d\d(?:T.*)?"  # a time
    r"|[-+]?\.(?:inf|nan)|~|null|true|false|yes|no|on|off|[yn]",
    re.IGNORECASE,
)
_NEEDS_QUOTES = re.compile(r"[\s\-?:,\[\]{}#&*!|>'\"%@`].*|.*(?:: |:$| #|\s$).*", re.DOTALL)


def go_float(value: float) -> str:
    """Return a float as Go's `strconv.FormatFloat(value, 'g', -1, 64)` prints it."""
    number = Decimal(repr(value)).normalize()
    exponent = number.adjusted()
    if value == 0:
        return "0"
    if -4 <= exponent < 6:
        return format(number, "f")
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits))
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _scalar(value: object) -> str:
    """Return one YAML scalar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _AMBIGUOUS.fullmatch(text):
        return f'"{text}"'
    if _NEEDS_QUOTES.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def go_yaml(value: dict[str, Any], indent: int = 0) -> list[str]:
    """Return the lines of a mapping, keys sorted, four blanks a level.

    Args:
        value: mappings, lists and scalars.
        indent: blanks before each line.
    """
    lines = []
    for key in sorted(value):
        item, head = value[key], f"{' ' * indent}{_scalar(key)}:"
        if isinstance(item, dict) and item:
            lines += [head, *go_yaml(item, indent + 4)]
        elif isinstance(item, list) and item:
            lines += [head, *_sequence(item, indent + 4)]
        elif isinstance(item, dict | list):
            lines.append(f"{head} {'{}' if isinstance(item, dict) else '[]'}")
        else:
            lines.append(f"{head} {_scalar(item)}")
    return lines


def _sequence(items: list[Any], indent: int) -> list[str]:
    """Return the lines of a list of scalars or of mappings."""
    lines = []
    for item in items:
        if isinstance(item, dict):
            first, *rest = go_yaml(item, indent + 2)
            lines += [f"{' ' * indent}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{' ' * indent}- {_scalar(item)}")
    return lines


def go_json(value: object) -> str:
    """Return compact JSON with Go's numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{go_json(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(go_json, value)) + "]"
    if isinstance(value, float):
        return go_float(value)
    return json.dumps(value)
