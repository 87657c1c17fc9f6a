"""`catalog ingest`: read trees into the catalog."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, HostOption, SetOption, command, new_app, open_catalog
from catalog.query.values import counted
from catalog.states import usable_text

if TYPE_CHECKING:
    from catalog.results import ForeignTree, IngestSummary, LostTree

app = new_app()

_NOTHING = (
    "Nothing was recognised there. An ingest looks for checkpoints ({suffixes}, a Trainer's "
    "checkpoint-500/, ...), for what W&B, Hydra, MLflow, TensorBoard and others left of runs, and "
    "for configs beside checkpoints; name a folder that holds some. What `.catalogignore` or the "
    "setting `ignore` names is left out."
)


@app.command(cls=Command)
def ingest(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Directory trees [default: the working directory].",
            show_default=False,
        ),
    ] = None,
    hashes: Annotated[
        bool,
        typer.Option(
            "--hash",
            help="Read each checkpoint whole too, once: its SHA-256, and what is damaged in it.",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Go on until interrupted: read what is new or changed as it comes.",
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Tell where the time went, by stage.")
    ] = False,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="full|last|none",
            help="Points of metric histories to keep; short for --set history=...",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Processes that read files [default: one a core]; more for a network disk.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary.")
    ] = False,
    host: HostOption = None,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Read directory trees into the catalog.

    Files that did not change since the last time are not opened again. No file is ever
    changed, and none is executed or unpickled. Running it again after an interruption goes on.
    What `.catalogignore` files name, in the syntax of .gitignore, is left out.
    """
    from catalog.cli.progress import showing

    pairs = [*(settings or []), *([f"history={history}"] if history else [])]
    catalog = open_catalog(db, pairs, host)
    with showing(quiet=quiet) as progress:
        summary = catalog.ingest(paths or [Path()], progress=progress, hashes=hashes, jobs=jobs)
    if not quiet:
        sys.stdout.write(_summary(summary, db))
    if profile:
        sys.stdout.write(_profile(summary))
    if watch:
        sys.stdout.flush()
        for done in catalog.watch(paths or [Path()]):
            if not quiet and (done.read or done.missing or done.newly_left_out):
                sys.stdout.write(_summary(done, db))
                sys.stdout.flush()


def _profile(done: "IngestSummary") -> str:
    lines = [
        f"{stage:<8} {seconds:8.2f} s  {seconds / done.seconds:4.0%}"
        for stage, seconds in done.stages.items()
    ]
    other = done.seconds - sum(done.stages.values())
    lines.append(f"{'other':<8} {other:8.2f} s  {other / done.seconds:4.0%}")
    return "\n".join(lines) + "\n"


def _summary(done: "IngestSummary", db: str | None) -> str:
    files = f"({done.read} read, {done.unchanged} unchanged, {done.missing} newly missing"
    files += f", {done.newly_left_out} newly left out)" if done.newly_left_out else ")"
    usable = usable_text(done.usable, done.migrated, done.doubted)
    if done.unchecked:
        usable += f", {done.unchecked} unchecked"
    usable += f", {done.unusable} not"
    for count, state in (
        (done.not_a_model, "not a model"),
        (done.missing_checkpoints, "missing"),
        (done.left_out_checkpoints, "left out"),
        (done.trashed_checkpoints, "trashed"),
    ):
        usable += f", {count} {state}" if count else ""
    links = f"{done.linked} linked to a run, {done.ambiguous} ambiguous, {done.unlinked} unlinked"
    lines = [
        f"Ingest {done.ingest_id}: {done.seen} files recognised in {done.seconds:.1f} s {files}.",
        f"{counted(done.checkpoints, 'checkpoint')}: {usable}; {links}.",
    ]
    if done.unread:
        lines.append(_unread(done.unread, db))
    lines += map(_lost, done.lost)
    lines += (_elsewhere(tree, db) for tree in done.elsewhere)
    if not done.seen and not done.lost:
        lines.append(_nothing())
    following = ["status"] if done.seen or done.checkpoints else ["ingest PATH"]
    if done.unusable:
        following = ["query --unusable", "recover --dry-run"]
    if done.unchecked:
        following.append("query --unchecked")
    if done.ambiguous:
        following.append("query --ambiguous")
    if done.problems:
        lines.append(f"Open problems: {done.problems}.")
        following.append("query --problems")
    lines.append(f"Next: {', '.join(command(arguments, db) for arguments in following)}.")
    return "\n".join(lines) + "\n"


_SHOWN = 6
"""Kinds of files that the summary names."""


def _nothing() -> str:
    # Imported here, for only this sentence needs them: best known first.
    from catalog.sources.formats.registry import suffixes

    listed = sorted(suffixes(), key=lambda one: (one != ".ckpt", one))
    return _NOTHING.format(suffixes=", ".join(listed))


def _unread(kinds: "dict[str, int]", db: str | None) -> str:
    count = sum(kinds.values())
    if count == 1:
        what = "1 file looks like a model, and what it holds is not read or not known"
    else:
        what = f"{count} files look like models, and what they hold is not read or not known"
    shown = list(kinds.items())[:_SHOWN]
    named = [f"{number} {kind}" for kind, number in shown]
    others = count - sum(number for _, number in shown)
    named += [f"{others} of other kinds"] if others else []
    return f"{what} ({command('query unchecked', db)}):\n  {', '.join(named)}."


def _lost(tree: "LostTree") -> str:
    what = "is gone" if tree.is_gone else "holds nothing of what was in it"
    known = counted(tree.checkpoints, "known checkpoint") if tree.checkpoints else "known files"
    verb = "is" if tree.checkpoints == 1 else "are"
    return (
        f"{tree.path} {what}: its {known} {verb} missing now. Nothing is forgotten: once it is "
        "back (a disk mounted again, say), ingest it again; if it was moved, ingest its new place."
    )


def _elsewhere(tree: "ForeignTree", db: str | None) -> str:
    move = command(f"host move {shlex.quote(tree.host)} NEW", db)
    return (
        f"{tree.path} is known of host {tree.host} as well, and nothing on disk shows that both "
        f"are one tree; if they are, {move} says so, with the name of this host for NEW."
    )
