"""A checkpoint's lineage, and why a run did not write it, as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.cli.tree import Branch, print_tree
from catalog.query.values import visible

if TYPE_CHECKING:
    from catalog.link.explain import Explanation
    from catalog.query.lineage import Family, Relative


def draw_family(family: Family) -> None:
    """Print where a checkpoint came from and what came from it."""
    tree = Branch(visible(family.path), style="bold")
    if family.run:
        tree.add(_line("written by", family.run))
    for label, relatives in (("came from", family.parents), ("led to", family.children)):
        if relatives:
            _add(tree.add(Branch(label, style="dim")), relatives)
        else:
            tree.add(_line(label, "nothing that a file names"))
    print_tree(tree, guide_style="dim")


def draw_explanation(explanation: Explanation) -> None:
    """Print what speaks for and against a run, and what follows."""
    tree = Branch(f"{visible(explanation.run)}  ", style="bold")
    tree.append(f"{explanation.verdict}, {explanation.score:+.1f}", style="not bold")
    tree.append(f"\n{visible(explanation.checkpoint)}", style="not bold dim")
    for reason in explanation.reasons:
        tree.add(_line("why", reason))
    for piece in explanation.evidence:
        style = "green" if piece["weight"] > 0 else "red"
        branch = tree.add(_line(f"{piece['weight']:+.1f}", piece["kind"], style, piece["detail"]))
        if piece["file"]:
            branch.add(_line("in", piece["file"]))
    print_tree(tree, guide_style="dim")


def _add(tree: Branch, relatives: list[Relative]) -> None:
    for one in relatives:
        state = "" if one.state == "present" else f" ({one.state})"
        said = f"{one.named_as} in {one.file}"
        branch = tree.add(_line(one.run or "", f"{one.path}{state}", dim=said))
        _add(branch, one.relatives)


def _line(label: str, text: str, style: str = "", dim: str | None = None) -> Branch:
    line = Branch(f"{visible(label)}  " if label else "", style="dim")
    line.append(visible(text), style=f"not dim {style}")
    if dim:
        line.append(f"  {visible(dim)}", style="dim")
    return line
