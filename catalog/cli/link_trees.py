"""A checkpoint's lineage, and why a run did not write it, as trees."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from catalog.query.values import visible

if TYPE_CHECKING:
    from catalog.link.explain import Explanation
    from catalog.query.lineage import Family, Relative

_UNCUT = 100_000


def draw_family(family: Family) -> None:
    """Print where a checkpoint came from and what came from it."""
    tree = Tree(Text(visible(family.path), style="bold"), guide_style="dim")
    if family.run:
        tree.add(_line("written by", family.run))
    for label, relatives in (("came from", family.parents), ("led to", family.children)):
        if relatives:
            _add(tree.add(Text(label, style="dim")), relatives)
        else:
            tree.add(_line(label, "nothing that a file names"))
    _print(tree)


def draw_explanation(explanation: Explanation) -> None:
    """Print what speaks for and against a run, and what follows."""
    head = Text(f"{visible(explanation.run)}  ", style="bold")
    head.append(f"{explanation.verdict}, {explanation.score:+.1f}", style="not bold")
    head.append(f"\n{visible(explanation.checkpoint)}", style="not bold dim")
    tree = Tree(head, guide_style="dim")
    for reason in explanation.reasons:
        tree.add(_line("why", reason))
    for piece in explanation.evidence:
        style = "green" if piece["weight"] > 0 else "red"
        branch = tree.add(_line(f"{piece['weight']:+.1f}", piece["kind"], style, piece["detail"]))
        if piece["file"]:
            branch.add(_line("in", piece["file"]))
    _print(tree)


def _add(tree: Tree, relatives: list[Relative]) -> None:
    for one in relatives:
        state = "" if one.state == "present" else f" ({one.state})"
        said = f"{one.named_as} in {one.file}"
        branch = tree.add(_line(one.run or "", f"{one.path}{state}", dim=said))
        _add(branch, one.relatives)


def _line(label: str, text: str, style: str = "", dim: str | None = None) -> Text:
    line = Text(f"{visible(label)}  " if label else "", style="dim")
    line.append(visible(text), style=f"not dim {style}")
    if dim:
        line.append(f"  {visible(dim)}", style="dim")
    return line


def _print(tree: Tree) -> None:
    terminal = sys.stdout.isatty()
    Console(highlight=False, width=None if terminal else _UNCUT).print(tree)
