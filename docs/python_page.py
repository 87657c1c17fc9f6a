"""The page of the Python interface, `docs/python.md`, made from its docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from catalog import Catalog, errors, results
from catalog import inspect as inspect_file
from catalog.forget import Extent
from catalog.link.explain import Explanation
from catalog.query.inspect import Inspection
from catalog.query.lineage import Family
from catalog.query.rows import Rows
from catalog.query.run import RunPage
from catalog.query.trace import Trace
from catalog.query.validate import Verdicts
from catalog.recover.recovery import RecoveredFile, RecoveryResult
from catalog.recover.undo import UndoneFile, UndoResult
from catalog.schema.upgrade import SchemaStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = (
    Rows, results.IngestSummary, results.LostTree, Trace, RunPage, Explanation, Family, Verdicts,
    RecoveryResult, RecoveredFile, UndoResult, UndoneFile, Extent, Inspection, SchemaStatus,
    results.UpgradeResult,
)  # fmt: skip
"""What the methods give, in the order in which a reader meets it."""

_EXAMPLE = """
```python
from catalog import Catalog, CatalogError

catalog = Catalog("catalog.db")
catalog.ingest("experiments")
try:
    trace = catalog.trace("best.ckpt")
except CatalogError as error:
    print(error)  # a sentence: what is wrong, and what to try
else:
    print(trace.checkpoint["verdict"], trace.checkpoint["run"])
```
"""
_SECTION = re.compile(r"^(Args|Returns|Yields|Raises):$")
_ENTRY = re.compile(r"^(\w+): (.*)$")


def python_lines(made: str) -> Iterator[str]:
    """Yield the lines of the page; `made` says where it is from."""
    yield from ("# The Python interface", "", made, "")
    yield "`catalog.Catalog` does all that the command line does, `catalog.inspect` reads one file"
    yield "without a catalog, and every exception is a `catalog.CatalogError`."
    yield _EXAMPLE.rstrip()
    yield from ("", "## Catalog", "", *_described(Catalog, Catalog.__init__))
    for name, member in vars(Catalog).items():
        if not name.startswith("_"):
            yield from _member(name, member)
    yield from ("", "## inspect", "", *_described(inspect_file, inspect_file))
    yield from ("", "## What the methods give")
    for result in RESULTS:
        yield from _result(result)
    yield from ("", "## Exceptions", "", "```text")
    tree = str(errors.__doc__).split("\n\n")
    yield from (*tree[1].splitlines(), "```", "", *tree[2].splitlines())


def _member(name: str, member: Any) -> Iterator[str]:
    yield from ("", f"### Catalog.{name}", "")
    if inspect.isfunction(member):
        yield from _described(member, member)
    else:
        yield from _docstring(member)


def _described(documented: Any, called: Any) -> Iterator[str]:
    signature = inspect.signature(called)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    name = documented.__name__
    parts = [f"    {one}," for one in _marked(kept)]
    whole = f"{name}({', '.join(map(str, _marked(kept)))})"
    given = signature.return_annotation
    end = "" if given in (None, "None", signature.empty) else f" -> {given}"
    lines = [whole + end] if len(whole + end) < 90 else [f"{name}(", *parts, f"){end}"]
    yield from ("```python", *(line.replace("'", "") for line in lines), "```", "")
    yield from _docstring(documented)


def _marked(parameters: list[inspect.Parameter]) -> Iterator[Any]:
    """Yield parameters with the star before those that are given by name alone."""
    has_star = False
    for one in parameters:
        has_star |= one.kind is one.VAR_POSITIONAL
        if one.kind is one.KEYWORD_ONLY and not has_star:
            has_star = True
            yield "*"
        shown = "..." if callable(one.default) else repr(one.default)
        default = "" if one.default is one.empty else f" = {shown}"
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        yield f"{star}{one.name}: {one.annotation}{default}"


def _docstring(documented: Any) -> Iterator[str]:
    """Yield a docstring, its sections as lists."""
    section, entry = "", ""
    for line in [*(inspect.getdoc(documented) or "").splitlines(), "end"]:
        is_end = line == "end"
        inside = line.strip() if section and line.startswith("    ") else ""
        starts = _ENTRY.match(inside) if not line.startswith("        ") else None
        if entry and (starts or not inside):
            yield f"- {entry}" if section in {"Args", "Raises"} else entry
            entry = ""
        if is_end:
            return
        if found := _SECTION.match(line):
            section = found[1]
            yield f"**{section}**"
            yield ""
        elif starts and section in {"Args", "Raises"}:
            entry = f"`{starts[1]}`: {starts[2]}"
        elif inside:
            entry = f"{entry} {inside}".strip()
        else:
            section = section if not line else ""
            yield line


def _result(result: type) -> Iterator[str]:
    yield from ("", f"### {result.__name__}", "", *_docstring(result), "")
    yield from ("| Member | Type | What it is |", "| --- | --- | --- |")
    tree = ast.walk(ast.parse(dedent(inspect.getsource(result))))
    node = next(one for one in tree if isinstance(one, ast.ClassDef))
    for place, one in enumerate(node.body):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            said = _text_of(node.body[place + 1]) if place + 1 < len(node.body) else ""
            kind = ast.unparse(one.annotation).replace("|", "\\|")
            yield f"| `{one.target.id}` | `{kind}` | {said} |"
        elif isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            first = str(ast.get_docstring(one)).split("\n\n")[0].replace("\n", " ")
            gives = ast.unparse(one.returns).replace("|", "\\|") if one.returns else ""
            is_property = any(ast.unparse(mark) == "property" for mark in one.decorator_list)
            yield f"| `{one.name}{'' if is_property else '()'}` | `{gives}` | {first} |"


def _text_of(node: ast.stmt) -> str:
    """Return the words below a member, where there are some."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split()).replace("|", "\\|")
    return ""
